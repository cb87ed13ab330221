import { expect } from 'chai';
import { screenOf } from '../support/screen.ts';
import { runInTerminal } from '../support/terminal.ts';
import { World } from '../support/world.ts';

const ERASE_REST = '\u001b[0K';
const PRODUCTS = ['noble', 'jammy'] as const;

describe('on a terminal', () => {
  let world: World;

  before(async () => {
    world = await World.start();
    await world.createPool();
    await world.publish([await world.release('noble', '20240423'), await world.release('jammy', '20240416')]);
  });

  after(() => world.stop());

  const sync = (columns: number, ...args: readonly string[]) => {
    const source = ['--source', world.server.url, '--keyring', world.keyring, ...world.options];
    return runInTerminal(['sync', ...source, 'arch=amd64', 'release~^(noble|jammy)$', ...args], [], columns);
  };

  it('a sync shows a bar for each image at 80 columns, and leaves only what happened', async () => {
    world.server.fault(/\.img$/, { kind: 'slow', bytesPerSecond: 2 ** 19 });
    const { status, output } = await sync(80);
    expect(status).to.equal(0);
    const raw = output.replaceAll('\n', '\r\n');
    const bars = await mostBars(raw);
    expect(bars).to.have.lengthOf(PRODUCTS.length);
    for (const bar of bars) {
      expect(bar).to.have.lengthOf.at.most(79);
      expect(bar.trimEnd()).to.match(
        /^com\.ubuntu\.cloud:server:2\d\.04:am…  \[#+-*\] +\d+%( +\d+(\.\d)? [KM]iB\/s +\d+:\d\d)?$/,
      );
    }
    const left = await screenOf(raw);
    expect(left.filter((line) => line.startsWith('fetched image '))).to.have.lengthOf(PRODUCTS.length);
    expect(left.filter((line) => line.includes('[#'))).to.deep.equal([]);
  });

  /** What `list` shows, with one second as every age. */
  const listed = async (columns: number): Promise<readonly string[]> => {
    const { status, output } = await runInTerminal(['list', ...world.options], [], columns);
    expect(status).to.equal(0);
    const lines = await screenOf(output.replaceAll('\n', '\r\n'), { columns });
    return lines.map((line) => line.replace(/ {2}[ \d]?\ds(?= |$)/, '   1s'));
  };

  it('a list fits 80 columns, keeps the ends of names, and leaves out what is least needed', async () => {
    expect(await listed(80)).to.deep.equal([
      'IMAGE                               VERSION   STATUS  USAGE   TYPE     SIZE  AGE',
      'com.ubuntu.…oud:server:22.04:amd64  20240416  active  unused  os    1.3 MiB   1s',
      'com.ubuntu.…oud:server:24.04:amd64  20240423  active  unused  os    1.3 MiB   1s',
    ]);
  });

  it('a list is whole at 200 columns', async () => {
    const source = world.server.url;
    expect(await listed(200)).to.deep.equal([
      'IMAGE                                VERSION   STATUS  USAGE   TYPE     SIZE  AGE  SOURCE',
      `com.ubuntu.cloud:server:22.04:amd64  20240416  active  unused  os    1.3 MiB   1s  ${source}`,
      `com.ubuntu.cloud:server:24.04:amd64  20240423  active  unused  os    1.3 MiB   1s  ${source}`,
    ]);
  });
});

/** The bars of the moment that shows most of them. The rest of each live line is erased once it is drawn. */
async function mostBars(raw: string): Promise<readonly string[]> {
  const parts = raw.split(ERASE_REST);
  const moments = parts.map((_, index) => parts.slice(0, index).join(ERASE_REST) + ERASE_REST);
  const screens = await Promise.all(moments.map((moment) => screenOf(moment)));
  const bars = screens.map((lines) => lines.filter((line) => line.includes('[#')));
  return bars.toSorted((a, b) => b.length - a.length)[0] ?? [];
}
