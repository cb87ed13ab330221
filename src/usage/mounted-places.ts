import type { BlindSpot } from '../core/reference.ts';
import { type Mount, type MountTable, resolveLocally } from '../util/mounts.ts';
import { shellWord } from '../util/shell.ts';

/** Where something lies inside a file system, however many mounts show it. */
export interface Place {
  /** As in `Mount`. */
  readonly device: string;
  /** Its path inside the file system. */
  readonly inner: string;
}

/** How one place lies to another. */
export type Relation = 'at' | 'above' | 'below';

/**
 * Where a path lies inside its file system.
 *
 * @param path absolute, without links and detours.
 */
export function placeOf(path: string, table: MountTable): Place | undefined {
  const mount = table.of(path);
  return mount && { device: mount.device, inner: joined(mount.root, restOf(path, mount.point)) };
}

/** The places that whoever sees a folder sees: its own, and those of all mounts below it, as far as none hides another. */
export function placesBelow(path: string, table: MountTable): readonly (Place & { readonly path: string })[] {
  const own = placeOf(path, table);
  const below = table.mounts.filter(({ id, point }) => isBelow(point, path) && table.of(point)?.id === id);
  return [
    ...(own === undefined ? [] : [{ ...own, path }]),
    ...below.map(({ device, root, point }) => ({ device, inner: root, path: point })),
  ];
}

/** How a place lies to another one; `undefined`: they have nothing in common. */
export function relationOf(place: Place, other: Place): Relation | undefined {
  if (place.device !== other.device) return undefined;
  if (place.inner === other.inner) return 'at';
  if (isBelow(other.inner, place.inner)) return 'above';
  return isBelow(place.inner, other.inner) ? 'below' : undefined;
}

/** A folder that is seen through another one, by way of mounts. */
export interface Alias {
  /** The path by which it is known here; all of it is seen. */
  readonly path: string;
  /** The mount, or the folder itself, through which it is seen. */
  readonly by: string;
}

/**
 * What of known folders can be seen through a folder by way of mounts: bind mounts below it, and other mounts of the file
 * system that it lies on. Looks at the table of mounts and at no file, so a mount that does not answer keeps nobody waiting.
 *
 * @param folders absolute, without links and detours.
 */
export function aliasesBelow(folder: string, folders: readonly string[], table: MountTable): readonly Alias[] {
  const seen = placesBelow(folder, table);
  const aliases = folders
    .flatMap((known) => placesBelow(known, table))
    .flatMap((target): readonly Alias[] =>
      seen.flatMap((place): readonly Alias[] => {
        const relation = relationOf(place, target);
        if (relation === undefined) return [];
        // Of a place below the known folder only that part is seen.
        const path = relation === 'below' ? joined(target.path, restOf(place.inner, target.inner)) : target.path;
        return path === folder || isBelow(path, folder) ? [] : [{ path, by: place.path }];
      }),
    );
  return [...new Map(aliases.map((alias) => [alias.path, alias])).values()];
}

/** A pool by name and by the directory that holds its volumes, without links and detours. */
export interface PoolFolder {
  readonly pool: string;
  readonly path: string;
}

/**
 * Overlay mounts that show a pool's files under another device number, or hold files of it open that nobody can tell: those
 * with a lower or upper directory at, above or below the pool's own. Each is a blind spot for that pool.
 *
 * Source: the kernel's `Documentation/filesystems/overlayfs.rst`.
 */
export function overlayMounts(pools: readonly PoolFolder[], table: MountTable): readonly BlindSpot[] {
  const overlays = table.mounts.filter(({ type }) => type === 'overlay');
  return overlays.flatMap((mount) =>
    layersOf(mount).flatMap(({ kind, path }): readonly BlindSpot[] => {
      const layer = layerPath(path, mount, table);
      return pools.flatMap((pool) => {
        const relation = layer === undefined ? undefined : relationOfFolders(layer, pool.path, table);
        if (layer !== undefined && relation === undefined) return [];
        const where =
          relation === undefined
            ? `'${path}', may lie anywhere`
            : `'${layer}', lies ${relation} the directory of storage pool '${pool.pool}'`;
        return [
          {
            what: `overlay mount ${mount.point}`,
            cause: `its ${kind} directory, ${where}, and who has a file open through it cannot be told`,
            remedy: `end what uses it, then: umount ${shellWord(mount.point)}`,
            concerns: { pool: pool.pool },
          },
        ];
      });
    }),
  );
}

interface Layer {
  readonly kind: 'lower' | 'upper';
  readonly path: string;
}

/** A colon that belongs to a name is escaped with a backslash; two of them part lower directories from those with data only. */
function layersOf({ options }: Mount): readonly Layer[] {
  return options.flatMap((option): readonly Layer[] => {
    const [, name, value = ''] = /^(lowerdir|lowerdir\+|datadir\+|upperdir)=(.*)$/s.exec(option) ?? [];
    if (name === undefined) return [];
    if (name === 'upperdir') return [{ kind: 'upper', path: value }];
    const parts = name === 'lowerdir' ? (value.match(/(?:\\.|[^\\:])+/gs) ?? []) : [value];
    return parts.map((part) => ({
      kind: 'lower',
      path: name === 'lowerdir' ? part.replaceAll(/\\(.)/gs, '$1') : part,
    }));
  });
}

/**
 * The path of a layer. A relative one starts from where the mount was made, which the kernel does not tell: container engines do
 * that from a directory above the mount's own. `undefined` when it is not found there.
 */
function layerPath(path: string, { point }: Mount, table: MountTable): string | undefined {
  if (path.startsWith('/')) return realOrWritten(path, table);
  for (let above = point; above !== '/'; above = above.slice(0, Math.max(1, above.lastIndexOf('/')))) {
    const found = resolveLocally(joined(above, path), table);
    if (found.is === 'here') return found.path;
  }
  return undefined;
}

function realOrWritten(path: string, table: MountTable): string {
  const found = resolveLocally(path, table);
  return found.is === 'here' ? found.path : path;
}

function relationOfFolders(path: string, folder: string, table: MountTable): Relation | undefined {
  if (path === folder) return 'at';
  if (isBelow(folder, path)) return 'above';
  if (isBelow(path, folder)) return 'below';
  const place = placeOf(path, table);
  const relations = placesBelow(folder, table).map((target) => place && relationOf(place, target));
  return relations.find((relation) => relation !== undefined);
}

function isBelow(path: string, folder: string): boolean {
  return path.startsWith(folder === '/' ? '/' : `${folder}/`) && path !== folder;
}

/** What of a path comes behind a folder that it lies at or below, without a slash at its start. */
function restOf(path: string, folder: string): string {
  return path.slice(folder.length).replace(/^\//, '');
}

function joined(folder: string, rest: string): string {
  if (rest === '') return folder;
  return folder === '/' ? `/${rest}` : `${folder}/${rest}`;
}
