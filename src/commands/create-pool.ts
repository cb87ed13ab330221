import { isAbsolute } from 'node:path';
import { UsageError } from '../errors.ts';
import type { Connection } from '../libvirt/connection.ts';
import { isNoStoragePool } from '../libvirt/error-codes.ts';
import { buildPool, definePool, lookupPool, poolXml, setPoolAutostart, startPool } from '../libvirt/storage-pool.ts';

const UVTOOL_TARGET = '/var/lib/uvtool/libvirt/images';

/**
 * Makes sure that a pool exists and is active: defines, builds, starts and autostarts a directory pool. An existing pool
 * is only started. Each act may be interrupted and is then done by the next run.
 *
 * @throws UsageError when the pool does not exist and it is not clear where it should lie.
 */
export async function createPool(connection: Connection, name: string, path: string): Promise<void> {
  const known = await lookupPool(connection, name).catch((error: unknown) => {
    if (isNoStoragePool(error)) return undefined;
    throw error;
  });
  if (known?.isActive === true) return;
  if (known === undefined) await definePool(connection, poolXml({ name, targetPath: targetOf(name, path) }));
  if (known === undefined || known.type === 'dir') await buildPool(connection, name);
  await startPool(connection, name);
  await setPoolAutostart(connection, name, true);
}

function targetOf(name: string, path: string): string {
  if (isAbsolute(path)) return path;
  if (path === '' && name === 'uvtool') return UVTOOL_TARGET;
  const where = path === '' ? 'it is not said where' : `'${path}' is not an absolute path`;
  throw new UsageError(`cannot create storage pool '${name}': ${where}`, {
    hint: 'give an absolute directory: --create-pool=/srv/images',
  });
}
