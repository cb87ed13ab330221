import type { Reference } from './reference.ts';
import type { Token } from './use-graph.ts';

/** The tokens of what a reference names by other means than an absolute path. */
export function nameTokens(reference: Reference): readonly Token[] {
  switch (reference.kind) {
    case 'volume':
      return [volumeToken(reference.pool, reference.value)];
    case 'network':
      return [networkToken(reference.protocol, reference.value)];
    case 'path':
    case 'dir':
      return reference.value.startsWith('/') ? [] : [baseNameToken(reference.value)];
    case 'text':
      return [];
  }
}

/** Whether a token stands for one file or volume and no other. */
export function isExactToken(token: Token): boolean {
  return /^(?:path|inode|device|volume|network):/.test(token);
}

/** The token of a volume by the names of its pool and itself. White space is alike, as in attributes. */
export function volumeToken(pool: string, name: string): Token {
  return `volume:${pool}/${name.replaceAll(/\s+/g, ' ')}`;
}

/** The token of a name on a network, without the snapshot that may follow it (`pool/image@snapshot`). */
export function networkToken(protocol: string, name: string): Token {
  return `network:${protocol}:${name.replace(/@[^@/]*$/, '')}`;
}

/** A relative path is relative to something unknown, so it may mean every file of its name. */
export function baseNameToken(path: string): Token {
  return `name:${path.slice(path.lastIndexOf('/') + 1).replaceAll(/\s+/g, ' ')}`;
}

/**
 * The tokens of files that a server of this host may offer under a network name: an NBD export, a file of NFS or Gluster
 * that a pool mounts. The names of RBD, iSCSI and Sheepdog are no file names.
 */
export function servedFileTokens(reference: Reference): readonly Token[] {
  if (reference.kind !== 'network' || ['rbd', 'iscsi', 'sheepdog'].includes(reference.protocol)) return [];
  return [baseNameToken(reference.value)];
}

/**
 * The network names of a volume in a pool of a network kind, after the keys and paths that libvirt gives to such volumes.
 */
export function networkTokensOfVolume(poolType: string, volume: { key: string; path: string }): readonly Token[] {
  switch (poolType) {
    case 'rbd':
      return [networkToken('rbd', volume.path), networkToken('rbd', volume.key)];
    case 'gluster':
      return [networkToken('gluster', volume.path.replace(/^gluster:\/\/[^/]*\//, ''))];
    case 'sheepdog':
      return [networkToken('sheepdog', volume.path), networkToken('sheepdog', volume.key)];
    case 'iscsi':
    case 'iscsi-direct': {
      const [, target, unit] = /-iscsi-(.+)-lun-(\d+)$/.exec(volume.path) ?? [];
      return target === undefined || unit === undefined ? [] : [networkToken('iscsi', `${target}/${unit}`)];
    }
    default:
      return [];
  }
}
