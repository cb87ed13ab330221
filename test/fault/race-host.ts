import { execFile } from 'node:child_process';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cloneCommand } from '../../src/commands/clone.ts';
import { PoolkeeperError } from '../../src/errors.ts';
import { inProcess } from '../support/in-process.ts';
import { domainXml, qemuImg } from '../support/qemu.ts';
import { type Run, World } from '../support/world.ts';

const run = promisify(execFile);

/** The collector that the creators race with: nothing but leases, roots and the last look holds it back. */
export const COLLECTOR = ['sync', '--grace', '0', '--min-age', '0', '--allow-mass-removal'] as const;

/** How a domain with an overlay is made. */
export type Creation = 'clone' | 'clone in process' | 'lease run' | 'plain';

/** A domain, the overlay that is its disk, and how they came to be. */
export interface Made {
  readonly kind: Creation;
  readonly name: string;
  readonly overlay: string;
}

/** How many domains there may be at a time: each is looked at by every sweep. */
const MOST_DOMAINS = 3;

/** A host on which images become garbage all the time, while others build on them. */
export class RaceHost {
  readonly world: World;
  readonly made = new Map<Creation, number>();
  readonly broken: Made[] = [];
  refused = 0;
  deleted = 0;
  rounds = 0;
  readonly #alive: Made[] = [];
  #serial = 20240000;
  #number = 0;

  constructor(world: World) {
    this.world = world;
  }

  static async start(): Promise<RaceHost> {
    const world = await World.start();
    await world.createPool();
    return new RaceHost(world);
  }

  /** Publishes a new version of both products, and lets the collector retire and delete the last. */
  async replaceImages(collector: readonly string[] = COLLECTOR): Promise<void> {
    this.#serial += 1;
    this.rounds += 1;
    const image = join(this.world.root, 'race.img');
    if (this.rounds === 1) await this.world.image('race', 65_536);
    const versions = [{ serial: String(this.#serial), image }];
    const products = ['noble', 'jammy'].map((release) => ({ release, arch: 'amd64', versions }));
    await this.world.publish(products, new Date(Date.UTC(2024, 7, 22) + this.#serial * 1000));
    const source = ['--source', this.world.server.url, '--keyring', this.world.keyring];
    const { status, stdout, stderr } = await this.world.poolkeeper(...collector, ...source);
    // A plain creation that lost its image leaves a domain whose chain cannot be seen, and so holds back the sweep.
    if (status !== 0 && status !== 13) throw new Error(`the collector failed: ${stderr}`);
    this.deleted += stdout.match(/^deleted image/gm)?.length ?? 0;
  }

  /** Makes an overlay and a domain on some image, in the pool or on offer, and takes an older one down. */
  async create(kind: Creation, from: 'pool' | 'offer' = 'pool'): Promise<void> {
    const image = await this.#anyImage(from);
    if (image === undefined) return;
    this.#number += 1;
    const name = `race-${this.#number}`;
    const overlay = kind.startsWith('clone') ? join(this.world.poolPath, name) : join(this.world.root, `${name}.qcow2`);
    const xml = join(this.world.root, `${name}.xml`);
    await writeFile(xml, domainXml({ name, disks: [{ path: overlay }] }));
    const made = { kind, name, overlay };
    if (!(await this.#make(made, image, xml))) {
      this.refused += 1;
      return;
    }
    this.made.set(kind, (this.made.get(kind) ?? 0) + 1);
    this.#alive.push(made);
    while (this.#alive.length > MOST_DOMAINS) await this.#takeDown(this.#alive.shift());
  }

  /** Looks at every domain that is left. */
  async takeAllDown(): Promise<void> {
    for (let made = this.#alive.shift(); made !== undefined; made = this.#alive.shift()) await this.#takeDown(made);
  }

  async #anyImage(from: 'pool' | 'offer'): Promise<string | undefined> {
    const names = await readdir(from === 'pool' ? this.world.poolPath : this.world.metadata).catch(() => []);
    const images = names.filter((name) => name.startsWith('x-uvt-'));
    return images[Math.floor(Math.random() * images.length)];
  }

  /** @returns false when the image was gone, or not whole yet, and nothing was made. */
  async #make({ kind, name, overlay }: Made, image: string, xml: string): Promise<boolean> {
    const define = ['virsh', '-q', '-c', this.world.libvirtd.uri, 'define', xml];
    const create = (base: string) =>
      `qemu-img create -q -f qcow2 -b ${base} -F qcow2 ${overlay} && ${define.join(' ')}`;
    switch (kind) {
      case 'clone':
        if (!isMade(await this.world.poolkeeper('clone', image, name, '--overlay', '--any'))) return false;
        return this.#runPlainly(define);
      case 'clone in process':
        return (await this.#cloneHere(image, name)) && this.#runPlainly(define);
      case 'lease run':
        return isMade(await this.world.poolkeeper('lease', 'run', image, '--any', '--', 'sh', '-c', create('{}')));
      case 'plain':
        return this.#runPlainly(['sh', '-c', create(join(this.world.poolPath, image))]);
    }
  }

  async #cloneHere(image: string, name: string): Promise<boolean> {
    const { context, options } = inProcess(this.world);
    const own = { words: [image, name], overlay: true, full: false, any: true, size: undefined, targetPool: undefined };
    try {
      await cloneCommand(context).handler({ ...options, ...own, _: [], $0: '' });
      return true;
    } catch (error) {
      if (error instanceof PoolkeeperError && isCleanRefusal(error.exitStatus)) return false;
      throw error;
    }
  }

  async #runPlainly([program = '', ...args]: readonly string[]): Promise<boolean> {
    return run(program, args).then(
      () => true,
      () => false,
    );
  }

  async #takeDown(made: Made | undefined): Promise<void> {
    if (made === undefined) return;
    const isWhole = await qemuImg('info', '-U', '--backing-chain', made.overlay).then(
      () => true,
      () => false,
    );
    if (!isWhole) this.broken.push(made);
    await this.world.libvirtd.virsh('undefine', made.name);
    if (made.kind.startsWith('clone')) await this.world.libvirtd.virsh('vol-delete', made.name, '--pool', 'uvtool');
    else await rm(made.overlay);
  }
}

/** Nothing there (4), or not whole yet (16). */
function isCleanRefusal(status: number): boolean {
  return status === 4 || status === 16;
}

function isMade({ status, stderr }: Run): boolean {
  if (status === 0) return true;
  if (isCleanRefusal(status)) return false;
  throw new Error(`a creation failed with status ${status}: ${stderr}`);
}
