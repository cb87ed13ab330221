import { type Finding, ok, problem, warning } from '../core/finding.ts';
import { type Account, grants, type NewPermissions, type Permissions, READ } from '../core/permissions.ts';
import { isOwnershipDynamic, lookupQemuUser } from '../libvirt/qemu-user.ts';
import { accountOf, newPermissions } from '../state/accounts.ts';
import type { PoolPatient } from './health.ts';

/** How libvirt makes a volume of which nothing else is said. */
const LIBVIRT_DEFAULT: Permissions = { mode: '0600', owner: 0, group: 0 };

/**
 * Whether QEMU's user can read the images by their mode; of a session daemon it is who owns them. libvirt gives it all files of a
 * domain that starts, those that its disks stand on too, and takes back only the disks themselves; without dynamic ownership
 * it gives nothing.
 */
export async function checkImageAccess(patient: PoolPatient): Promise<readonly Finding[]> {
  const { connection, pool, permissions, sight } = patient;
  const made = await newPermissions(permissions);
  const user = await lookupQemuUser(connection);
  if (user === undefined) return [];
  const { isLocal } = sight.gathered.places;
  const account = isLocal ? await accountOf(user.uid, user.gid) : { uid: user.uid, gids: [user.gid] };
  const isDynamic = isLocal ? await isOwnershipDynamic() : undefined;
  const images = sight.gathered.volumes
    .filter(({ volume }) => volume.pool === pool.name && sight.view.managed.has(volume.name))
    .flatMap(({ volume: { name, permissions: found } }) => (found === undefined ? [] : [{ name, ...found }]));
  const closed = images.filter(
    (image) => !canRead(isDynamic === false ? image : { ...image, owner: user.uid }, account),
  );
  const findings = closed.map((image) =>
    warning(
      `QEMU's user (${user.uid}:${user.gid}) cannot read volume '${image.name}', which has mode ${image.mode} and belongs to ${image.owner}:${image.group}${isDynamic === false ? '; libvirt does not change that, since dynamic_ownership is off' : ''}`,
      openCommands(image, account, isDynamic === false),
    ),
  );
  if (isDynamic === false && !canRead({ ...LIBVIRT_DEFAULT, ...made }, account))
    findings.unshift(closedFromBirth(made, user.gid));
  if (findings.length > 0) return findings;
  if (isDynamic === undefined)
    return [ok(`libvirt gives images to QEMU's user (${user.uid}:${user.gid}), unless dynamic_ownership is off`)];
  return [ok(`QEMU's user (${user.uid}:${user.gid}) can read every image`)];
}

function canRead({ mode, owner, group }: Permissions, account: Account): boolean {
  return grants({ mode: Number.parseInt(mode, 8), owner, group }, account, READ);
}

function closedFromBirth(made: NewPermissions | undefined, gid: number): Finding {
  const { mode, owner, group } = { ...LIBVIRT_DEFAULT, ...made };
  return problem(
    `dynamic_ownership is off, and QEMU's user cannot read new images, which get mode ${mode} and belong to ${owner}:${group}`,
    `write into the configuration: permissions: { group: ${gid}, mode: 0640 }`,
  );
}

/** What lets QEMU's user read an image, and changes nothing else. */
function openCommands(
  { name, mode, owner, group }: Permissions & { readonly name: string },
  { uid, gids }: Account,
  isOwnerKept: boolean,
): string {
  const bits = Number.parseInt(mode, 8) & 0o666;
  const chmod = (bit: number): string => `poolkeeper chmod ${name} ${(bits | bit).toString(8).padStart(3, '0')}`;
  if (!isOwnerKept || owner === uid) return chmod(0o400);
  if (gids.includes(group)) return chmod(0o040);
  return `poolkeeper chown ${name} :${gids[0]} && ${chmod(0o040)}`;
}
