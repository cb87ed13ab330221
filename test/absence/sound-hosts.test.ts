import { expect } from 'chai';
import { runInProcess } from '../support/in-process.ts';
import { thoseThere } from '../support/managed-images.ts';
import {
  buildSoundHost,
  clearSoundHost,
  describeSoundHost,
  drawSoundHost,
  prepareSoundHosts,
  type SoundHost,
} from '../support/sound-host.ts';
import { World } from '../support/world.ts';

/** `.ci/long` draws thousands, from another seed each time. */
const HOSTS = Number(process.env['POOLKEEPER_SOUND_HOSTS'] ?? 12);
const FIRST_SEED = Number(process.env['POOLKEEPER_SEED'] ?? 1);

describe('on a host where everything is there', () => {
  let world: World;

  before(async () => {
    process.on('SIGIO', ignore);
    world = await World.start();
    await world.createPool();
    await prepareSoundHosts(world);
  });
  after(async () => {
    process.off('SIGIO', ignore);
    await world.stop();
  });

  it(`all garbage goes in one run, and nothing else: ${HOSTS} hosts from seed ${FIRST_SEED} [G4]`, async function () {
    this.timeout(120_000 + HOSTS * 10_000);
    const sum = { garbage: 0, needed: 0 };
    for (let seed = FIRST_SEED; seed < FIRST_SEED + HOSTS; seed++) {
      const host = drawSoundHost(world, seed);
      await buildSoundHost(world, host);
      const outcome = await collect(host);
      expect(outcome, describeSoundHost(host)).to.deep.equal({ status: 0, stderr: '', left: host.needed, lost: [] });
      await clearSoundHost(world, host);
      sum.garbage += host.garbage.length;
      sum.needed += host.needed.length;
    }
    // A generator that draws only one kind would prove nothing.
    expect(sum.garbage).to.be.greaterThan(HOSTS);
    expect(sum.needed).to.be.greaterThan(HOSTS);
    console.log(`      ${HOSTS} hosts: ${sum.garbage} images went, ${sum.needed} stayed`);
  });

  /** What a run left of the images, and which other files it took. */
  async function collect(host: SoundHost) {
    const words = ['gc', '--yes', '--keep-versions', '1', '--grace', '0', '--min-age', '0', '--allow-mass-removal'];
    const { status, stderr } = await runInProcess(world, words);
    const there = new Set((await thoseThere(host.files)).map(({ name }) => name));
    const images = host.files.filter(({ kind }) => kind === 'image');
    const others = host.files.filter(({ kind }) => kind !== 'image');
    const lost = others.filter(({ name }) => !there.has(name)).map(({ name }) => name);
    return {
      status,
      stderr,
      left: images
        .map(({ name }) => name)
        .filter((name) => there.has(name))
        .sort(),
      lost,
    };
  }
});

function ignore(): void {}
