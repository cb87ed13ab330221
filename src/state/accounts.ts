import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type Account, isAccountName, type NewPermissions } from '../core/permissions.ts';
import { UsageError } from '../errors.ts';

const run = promisify(execFile);

/** The account databases that names are looked up in. */
type Database = 'passwd' | 'group';

/**
 * The number of a user or a group of this host, by name or number, wherever the host keeps its accounts (getent(1)).
 *
 * @throws UsageError when there is none of that name.
 */
export async function lookupAccount(database: Database, name: string): Promise<number> {
  const kind = database === 'passwd' ? 'user' : 'group';
  if (!isAccountName(name))
    throw new UsageError(`'${name}' cannot be the name of a ${kind}`, { hint: hintFor(database) });
  if (/^\d+$/.test(name)) return Number(name);
  const { stdout } = await run('getent', [database, name]).catch((cause: unknown) => {
    throw new UsageError(`there is no ${kind} '${name}' on this host`, { cause, hint: hintFor(database) });
  });
  return Number(stdout.split(':')[2]);
}

/** What is configured for the permissions of new volumes. */
export interface PermissionSettings {
  readonly volumeOwner?: string | undefined;
  readonly volumeGroup?: string | undefined;
  readonly volumeMode?: string | undefined;
}

/**
 * The permissions that new volumes get; `undefined`: libvirt's defaults.
 *
 * @throws UsageError when this host knows no such user or group.
 */
export async function newPermissions({
  volumeOwner,
  volumeGroup,
  volumeMode,
}: PermissionSettings): Promise<NewPermissions | undefined> {
  if (volumeOwner === undefined && volumeGroup === undefined && volumeMode === undefined) return undefined;
  return {
    ...(volumeOwner !== undefined && { owner: await lookupAccount('passwd', volumeOwner) }),
    ...(volumeGroup !== undefined && { group: await lookupAccount('group', volumeGroup) }),
    ...(volumeMode !== undefined && { mode: volumeMode }),
  };
}

/** A user with the group that it is run with, and those that this host makes it a member of (id(1)). */
export async function accountOf(uid: number, gid: number): Promise<Account> {
  const name = await run('getent', ['passwd', String(uid)]).then(
    ({ stdout }) => stdout.split(':')[0] ?? '',
    () => '',
  );
  if (name === '') return { uid, gids: [gid] };
  const { stdout } = await run('id', ['-G', name]);
  return { uid, gids: [...new Set([gid, ...stdout.trim().split(/\s+/).map(Number)])] };
}

function hintFor(database: Database): string {
  return `give a number, or a name that 'getent ${database}' lists`;
}
