import { execFile } from 'node:child_process';
import { readFileSync, watch } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Aftermath, aftermathOf, stateOf } from '../support/aftermath.ts';
import { type RunningProgram, World } from '../support/world.ts';

const run = promisify(execFile);
const MIB = 2 ** 20;
const RELEASES = ['focal', 'jammy', 'noble'] as const;
const DAY_0 = '20240821';
const DAY_1 = '20240901';

/**
 * A host that holds three images of yesterday, of which two are replaced today: its sync fetches, offers, retires and
 * deletes. `rewind` takes it back to yesterday any number of times.
 */
export class UpgradeHost {
  readonly world: World;
  readonly #yesterday: string;

  private constructor(world: World) {
    this.world = world;
    this.#yesterday = join(world.root, 'yesterday');
  }

  static async start(): Promise<UpgradeHost> {
    const world = await World.start();
    const host = new UpgradeHost(world);
    await world.createPool();
    const images = new Map<string, string>();
    for (const release of RELEASES) {
      for (const day of [DAY_0, DAY_1])
        images.set(`${release}-${day}`, await world.image(`${release}-${day}`, 2 * MIB));
    }
    const offer = (release: string, serial: string) => ({
      release,
      versions: [{ serial, image: images.get(`${release}-${serial}`) ?? '' }],
    });
    await world.publish(RELEASES.map((release) => offer(release, DAY_0)));
    await world.sync('arch=amd64');
    await host.#keepYesterday();
    await world.publish([offer('focal', DAY_0), offer('jammy', DAY_1), offer('noble', DAY_1)]);
    return host;
  }

  stop(): Promise<void> {
    return this.world.stop();
  }

  /** Makes pool, metadata and state what they were yesterday. */
  async rewind(): Promise<void> {
    for (const path of this.#places()) {
      await rm(path, { recursive: true, force: true });
      await run('cp', ['-a', join(this.#yesterday, nameOf(path)), path]);
    }
    this.world.server.clearFaults();
    await this.world.libvirtd.virsh('pool-refresh', 'uvtool');
  }

  startSync(): RunningProgram {
    return this.world.startSync('arch=amd64');
  }

  /** Does today's sync without a disturbance, and says what it leaves and how many lines its journal has. */
  async undisturbed(): Promise<{ readonly aftermath: Aftermath; readonly lines: number }> {
    await this.rewind();
    const { status, stderr } = await this.startSync().ended;
    if (status !== 0) throw new Error(`the undisturbed sync failed: ${stderr}`);
    return { aftermath: await aftermathOf(this.world), lines: linesOf(await readFile(await this.#journal(), 'utf8')) };
  }

  /** Ends a run with SIGKILL as soon as its journal has so many lines, and says how many it had then. */
  async killAtLine(line: number): Promise<number> {
    return killAtLine(this.startSync(), await this.#journal(), line);
  }

  /** The offered images whose volume is missing or holds something else than it should. */
  async brokenOffers(): Promise<readonly string[]> {
    const { volumes, metadata } = await aftermathOf(this.world);
    return Object.entries(metadata).flatMap(([name, text]) =>
      text.includes(`"sha256": "${volumes[name] ?? 'no volume'}"`) ? [] : [name],
    );
  }

  async #keepYesterday(): Promise<void> {
    await run('mkdir', [this.#yesterday]);
    // What is done is dropped when a journal is opened; without it every line that comes is one of today.
    const [header = ''] = (await readFile(await this.#journal(), 'utf8')).split('\n');
    await writeFile(await this.#journal(), `${header}\n`);
    for (const path of this.#places()) await run('cp', ['-a', path, join(this.#yesterday, nameOf(path))]);
  }

  #places(): readonly string[] {
    const { world } = this;
    return [join(world.root, 'state'), world.metadata, world.poolPath];
  }

  async #journal(): Promise<string> {
    return join(await stateOf(this.world), 'journal');
  }
}

/** Ends a run with SIGKILL as soon as a journal has so many lines, and says how many it had then. */
export async function killAtLine(program: RunningProgram, journal: string, line: number): Promise<number> {
  // Read at once, and not in turn: the program does not wait.
  const watcher = watch(journal, () => {
    if (linesOf(readFileSync(journal, 'utf8')) >= line) program.kill('SIGKILL');
  });
  await program.ended;
  watcher.close();
  return linesOf(readFileSync(journal, 'utf8'));
}

/** How many lines a journal has. */
export function linesOf(journal: string): number {
  return journal.split('\n').length - 1;
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
