import { copyFile, lstat, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeMetadataName } from '../../src/core/identity.ts';
import { createQcow2 } from './qemu.ts';
import { recordStage } from './managed-images.ts';
import type { World } from './world.ts';

/** One way in which a volume is needed, and how to build it on a host. */
export interface Scenario {
  /** The row of in-use.md that it stands for. */
  readonly row: string;
  /** A promise: what is kept. */
  readonly title: string;
  build(stage: Stage): Promise<void>;
}

/** What became of a scenario's volumes. */
export interface Fate {
  readonly lost: readonly string[];
  readonly uncollected: readonly string[];
  readonly collected: readonly string[];
}

/** What a scenario's domain has beyond what every domain has. */
export interface DomainParts {
  readonly name?: string;
  readonly os?: string;
  readonly devices?: string;
  /** More elements directly below `<domain>`. */
  readonly more?: string;
  readonly memoryKiB?: number;
}

export const IMAGE_BYTES = 2 ** 20;

/** The place where one scenario is built, beside all others in the same pool. */
export class Stage {
  readonly world: World;
  /** Unlike that of any other scenario. */
  readonly key: string;
  /** Volumes that must stay, and those that must go. */
  readonly needed: string[] = [];
  readonly twins: string[] = [];
  readonly pool: string;

  constructor(world: World, key: string, pool = world.poolPath) {
    this.world = world;
    this.key = key;
    this.pool = pool;
  }

  /** A directory of this scenario's own, outside of every pool. */
  get outside(): string {
    return join(this.world.libvirtd.root, 'outside', this.key);
  }

  /** Makes the directories of this scenario. */
  async prepare(): Promise<void> {
    await mkdir(this.outside, { recursive: true });
    await this.world.libvirtd.give(this.outside);
  }

  /** The path of a managed volume that must stay; somebody else makes it. */
  keepPath(role = 'base'): string {
    const path = join(this.pool, volumeName(this.key, role, '1'));
    this.needed.push(path);
    return path;
  }

  /** Makes a managed volume that must stay. */
  async keep(role?: string): Promise<string> {
    return this.image(this.keepPath(role));
  }

  /** The path of a managed volume of much the same name that must go. */
  twinPath(role = 'base'): string {
    const path = join(this.pool, volumeName(this.key, role, '1.1'));
    this.twins.push(path);
    return path;
  }

  /** Makes a managed volume that must go. */
  async twin(role?: string): Promise<string> {
    return this.image(this.twinPath(role));
  }

  /** Makes an empty qcow2 image. */
  async image(path: string | Buffer): Promise<string> {
    await copyFile(join(this.world.root, 'template.qcow2'), path);
    await this.world.libvirtd.give(path.toString('latin1') === path ? path : path.toString());
    return path.toString();
  }

  /** Makes an overlay; the backing string goes into the header as it is. */
  async overlay(path: string, backing: string, backingFormat = 'qcow2'): Promise<string> {
    await createQcow2(path, { sizeBytes: IMAGE_BYTES, backing, backingFormat });
    await this.world.libvirtd.give(path);
    return path;
  }

  /** The name of the scenario's domain, or of one more. */
  domain(suffix = ''): string {
    return `${this.key}${suffix}`;
  }

  /** The path of a file with a domain's XML, for virsh. */
  async xml(parts: DomainParts = {}): Promise<string> {
    const { name = this.domain(), os = '', devices = '', more = '', memoryKiB = 16_384 } = parts;
    return this.file(
      `${name}.xml`,
      [
        `<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><name>${name}</name>`,
        `<uuid>${uuidOf(name)}</uuid><memory unit='KiB'>${memoryKiB}</memory><vcpu>1</vcpu>`,
        `<os><type arch='x86_64' machine='pc'>hvm</type>${os}</os><features><acpi/></features>${more}<devices>${devices}`,
        "<controller type='usb' model='none'/><memballoon model='none'/></devices></domain>",
      ].join('\n'),
    );
  }

  async define(parts: DomainParts = {}): Promise<void> {
    await this.virsh(`define ${await this.xml(parts)}`);
  }

  /** Defines the scenario's domain and starts it, paused. */
  async start(parts: DomainParts = {}): Promise<void> {
    const name = parts.name ?? this.domain();
    await this.virsh(`define ${await this.xml(parts)}`, `start --paused ${name}`);
  }

  /** Writes a file outside of every pool and returns its path. */
  async file(name: string, content: string): Promise<string> {
    const path = join(this.outside, name);
    await writeFile(path, content);
    return path;
  }

  /** One virsh for all commands, because starting it takes longer than what it does. */
  async virsh(...commands: readonly string[]): Promise<string> {
    return this.world.libvirtd.virsh(commands.join('; '));
  }
}

/** A disk of a domain. */
export function disk(source: string, { type = 'file', format = 'qcow2', target = 'vda', inner = '' } = {}): string {
  return [
    `<disk type='${type}' device='disk'><driver name='qemu' type='${format}'/><source ${source}/>`,
    `<target dev='${target}' bus='virtio'/>${inner}</disk>`,
  ].join('');
}

/** A disk on a file. */
export function fileDisk(path: string, target = 'vda'): string {
  return disk(`file='${path}'`, { target });
}

/** The name of a managed volume. */
export function volumeName(product: string, role: string, version: string): string {
  return encodeMetadataName({ product: `com.example:${product}:${role}`, version });
}

/** Makes room for scenarios on a host. */
export async function openStages(world: World, count: number): Promise<readonly Stage[]> {
  await createQcow2(join(world.root, 'template.qcow2'), { sizeBytes: IMAGE_BYTES });
  const stages = Array.from({ length: count }, (_, index) => new Stage(world, `s${index}x`));
  for (const stage of stages) await stage.prepare();
  return stages;
}

/** Builds scenarios in the pool of a host, some at a time. */
export async function buildAll(world: World, scenarios: readonly Scenario[]): Promise<readonly Stage[]> {
  const stages = await openStages(world, scenarios.length);
  const waiting = scenarios.map((scenario, index) => ({ scenario, stage: stages[index] }));
  const failures: string[] = [];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next?.stage !== undefined; next = waiting.shift()) {
      failures.push(...(await build(next.scenario, next.stage)));
    }
  };
  await Promise.all(Array.from({ length: 4 }, work));
  for (const stage of stages) await recordStage(world, stage);
  if (failures.length > 0) throw new Error(`cannot build ${failures.length} scenarios\n${failures.join('\n')}`);
  return stages;
}

async function build(scenario: Scenario, stage: Stage): Promise<readonly string[]> {
  try {
    await scenario.build(stage);
    return [];
  } catch (error) {
    return [`${scenario.row}: ${scenario.title} (${stage.key}): ${String(error)}`];
  }
}

/** Looks at the disk, not at what anybody says. */
export async function fateOf({ needed, twins }: Stage): Promise<Fate> {
  const there = new Set([...(await existing(needed)), ...(await existing(twins))]);
  return {
    lost: needed.filter((path) => !there.has(path)),
    uncollected: twins.filter((path) => there.has(path)),
    collected: twins.filter((path) => !there.has(path)),
  };
}

async function existing(paths: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(
    paths.map((path) =>
      lstat(path).then(
        () => [path],
        () => [],
      ),
    ),
  );
  return found.flat();
}

function uuidOf(name: string): string {
  const hex = Buffer.from(name).toString('hex').padStart(12, '0').slice(-12);
  return `6ba7b810-9dad-41d1-80b4-${hex}`;
}
