/** Who may open the file of a volume, as libvirt writes it. */
export interface Permissions {
  /** Octal, as in `0600`. */
  readonly mode: string;
  readonly owner: number;
  readonly group: number;
}

/** What a new volume is to have; for what is missing, libvirt's default: mode 0600, and libvirtd's own user and group. */
export type NewPermissions = Partial<Permissions>;

/** A user with all groups that it is a member of. */
export interface Account {
  readonly uid: number;
  readonly gids: readonly number[];
}

/** The bits of one digit of a mode. */
export const READ = 4;
export const ENTER = 1;

const NAME = /^[\p{L}_][\p{L}\p{N}_.@-]*\$?$/u;

/** The number that stands for "leave it as it is" in chown(2). */
const NOBODY_AT_ALL = 0xff_ff_ff_ff;

/** Whether a text can be the name or the number of a user or a group. */
export function isAccountName(text: string): boolean {
  return /^\d{1,10}$/.test(text) ? Number(text) < NOBODY_AT_ALL : NAME.test(text);
}

/**
 * Whether the mode of a file or folder gives a user a right. Access control lists and security labels are not seen.
 *
 * Source: path_resolution(7): the first of owner, group and others that fits counts, even if another one would allow more.
 */
export function grants(
  { mode, owner, group }: { readonly mode: number; readonly owner: number; readonly group: number },
  { uid, gids }: Account,
  right: typeof READ | typeof ENTER,
): boolean {
  if (uid === owner) return ((mode >> 6) & right) !== 0;
  if (gids.includes(group)) return ((mode >> 3) & right) !== 0;
  return (mode & right) !== 0;
}
