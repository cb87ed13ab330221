import type { AbsentName } from './reference.ts';

/** Protocols whose names are taken for those of network images. */
const PROTOCOLS = /^(nbd|rbd|iscsi|iser|gluster|sheepdog|https?|ftps?|tftp|ssh|nfs|vxhs):(.+)$/s;

/** The same name in the same words, as a key. */
export function absenceKey(name: AbsentName): string {
  switch (name.kind) {
    case 'path':
      return `path:${name.path}`;
    case 'volume':
      return `volume:${name.pool}/${name.volume}`;
    case 'network':
      return `network:${name.protocol}:${name.name}`;
  }
}

/** A name as `parseAbsentName` takes it: `/PATH`, `POOL/VOLUME` or `PROTOCOL:NAME`. */
export function absentText(name: AbsentName): string {
  switch (name.kind) {
    case 'path':
      return name.path;
    case 'volume':
      return `${name.pool}/${name.volume}`;
    case 'network':
      return `${name.protocol}:${name.name}`;
  }
}

/** Reads a name as people write it; `undefined` when it is none. */
export function parseAbsentName(text: string): AbsentName | undefined {
  if (text.includes('\0')) return undefined;
  if (text.startsWith('/')) return { kind: 'path', path: text };
  const [, protocol, name] = PROTOCOLS.exec(text) ?? [];
  if (protocol !== undefined && name !== undefined) return { kind: 'network', protocol, name };
  const [, pool, volume] = /^([^/]+)\/(.+)$/s.exec(text) ?? [];
  return pool === undefined || volume === undefined ? undefined : { kind: 'volume', pool, volume };
}

/** What somebody said of a name that leads to nothing: that it is gone for good, and stands on nothing any more. */
export interface ForgottenName {
  readonly name: AbsentName;
  /** In milliseconds since the epoch. */
  readonly since: number;
  /** The user who said it. */
  readonly by: string;
  readonly reason: string | undefined;
}
