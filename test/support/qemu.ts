import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** What qemu-img prints; rejects when it fails. */
export async function qemuImg(...args: readonly string[]): Promise<string> {
  return (await run('qemu-img', args)).stdout;
}

/** What qemu-io prints for commands such as `write -P 0x61 0 64k`. */
export async function qemuIo(path: string, ...commands: readonly string[]): Promise<string> {
  return (await run('qemu-io', [...commands.flatMap((command) => ['-c', command]), path])).stdout;
}

export interface Qcow2 {
  readonly sizeBytes: number;
  /** Written into the header as it is; it does not have to exist. */
  readonly backing?: string;
  readonly backingFormat?: string;
  /** As for `qemu-img create -o`. */
  readonly options?: string;
}

export async function createQcow2(path: string, { sizeBytes, backing, backingFormat, options }: Qcow2): Promise<void> {
  const base = backing === undefined ? [] : ['-u', '-b', backing, '-F', backingFormat ?? 'qcow2'];
  const extra = options === undefined ? [] : ['-o', options];
  await qemuImg('create', '-q', '-f', 'qcow2', ...base, ...extra, path, String(sizeBytes));
}

export type DomainDisk = ({ readonly path: string } | { readonly pool: string; readonly volume: string }) & {
  readonly format?: string;
  readonly readOnly?: boolean;
};

export interface DomainDescription {
  readonly name: string;
  readonly disks?: readonly DomainDisk[];
  readonly type?: 'qemu' | 'test';
  readonly memoryKiB?: number;
  /** More elements for `<devices>`. */
  readonly devices?: string;
}

/** A small domain that starts under TCG, without network or display. */
export function domainXml(domain: DomainDescription): string {
  const { name, disks = [], type = 'qemu', memoryKiB = 32_768, devices = '' } = domain;
  return [
    `<domain type='${type}'><name>${name}</name><memory unit='KiB'>${memoryKiB}</memory><vcpu>1</vcpu>`,
    "<os><type arch='x86_64' machine='pc'>hvm</type></os><devices>",
    ...disks.map(diskXml),
    `${devices}<controller type='usb' model='none'/><memballoon model='none'/></devices></domain>`,
  ].join('\n');
}

function diskXml(disk: DomainDisk, index: number): string {
  const isFile = 'path' in disk;
  const source = isFile ? `file='${disk.path}'` : `pool='${disk.pool}' volume='${disk.volume}'`;
  return [
    `<disk type='${isFile ? 'file' : 'volume'}' device='disk'>`,
    `<driver name='qemu' type='${disk.format ?? 'qcow2'}'/><source ${source}/>`,
    `<target dev='vd${String.fromCharCode(97 + index)}' bus='virtio'/>`,
    `${disk.readOnly === true ? '<readonly/>' : ''}</disk>`,
  ].join('');
}
