import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { compareWithGolden } from '../support/golden.ts';
import { screenOf } from '../support/screen.ts';
import { runInTerminal } from '../support/terminal.ts';
import { UNCOVERED, World } from '../support/world.ts';

const execute = promisify(execFile);

/** What is looked at. The sync comes first, and brings what the others then show. */
const COMMANDS = ['sync --jobs 1', 'list', 'usage', 'orphans', 'doctor', '--help'] as const;

/** Whose lines are made to fit; those of the others go on in the next row. */
const TABLES: ReadonlySet<string> = new Set(['list', 'usage', 'orphans', '--help']);

/** The same again, into a pipe; one image has gone meanwhile. */
const PIPED = COMMANDS.slice(0, -1);

for (const columns of [80, 200]) {
  describe(`screens of ${columns} columns`, () => showScreens(columns));
}

function showScreens(columns: number): void {
  let world: World;
  let config: string;

  before(async () => {
    world = await World.start();
    await world.createPool();
    config = join(world.root, 'config.yaml');
    await writeFile(config, world.configuration(['filters: [arch=amd64]']));
    await world.publish([await world.release('noble', '20240423'), await world.release('jammy', '20240416')]);
  });
  after(() => world.stop());

  /** Times, sizes and places are this run's own; what stands behind them in a table keeps its distance only roughly. */
  function plain(text: string): string {
    return text
      .replaceAll(world.libvirtd.root, '/LIBVIRT')
      .replaceAll(world.root, '/HOST')
      .replaceAll(new URL(world.server.url).host, 'SERVER')
      .replaceAll(/\d{8}T\d{6}Z-[0-9a-f]{4}/g, 'RUN')
      .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'UUID')
      .replaceAll(/ *\b\d+(\.\d+)? ([KMGT]i)?B\b/g, ' SIZE')
      .replaceAll(/ +\d+(ms|s|m|h)\b/g, ' TIME')
      .replaceAll('( SIZE', '(SIZE')
      .replaceAll(/key [0-9A-F]{40}/g, 'key KEY')
      .replaceAll(/Builder 0\.\d+/g, 'Builder')
      .replaceAll(/ +$/gm, '');
  }

  async function screen(line: string): Promise<string> {
    const { output } = await runInTerminal(['--config', config, ...line.split(' ')], [], columns);
    const isTable = TABLES.has(line);
    const lines = await screenOf(output.replaceAll('\n', '\r\n'), { columns, isJoined: !isTable });
    if (isTable) for (const row of lines) expect(row.length, row).to.be.at.most(columns);
    return `$ poolkeeper ${line}\n${plain((isTable ? lines : sentences(lines)).join('\n'))}\n`;
  }

  /** Where sentences go on in the next row depends on how long the paths of this run are. */
  function sentences(lines: readonly string[]): readonly string[] {
    return lines
      .join('\n')
      .replaceAll(/\n {10,}/g, ' ')
      .split('\n');
  }

  it('are as in the golden file', async () => {
    const screens = [];
    for (const line of COMMANDS) screens.push(await screen(line));
    compareWithGolden(`screens-${columns}.txt`, screens.join('\n'));
  });

  it('are whole and without colour in a pipe', async () => {
    await unlink(join(world.poolPath, (await world.volumes())[0] ?? ''));
    await world.libvirtd.virsh('pool-refresh', 'uvtool');
    const piped = [];
    for (const line of PIPED) {
      const args = [...program(), '--config', config, ...line.split(' ')];
      const { stdout, stderr } = await execute(process.execPath, args);
      for (const mark of ['\u001b', '\r', '…']) expect(stdout + stderr).to.not.include(mark);
      piped.push(`$ poolkeeper ${line} | cat\n${plain(stdout + stderr)}`);
    }
    compareWithGolden(`screens-pipe.txt`, piped.join('\n'));
  });

  it('are not needed: nothing is said by an unchanged run with -q in the environment of cron', async () => {
    for (const words of [
      ['sync', '-q'],
      ['gc', '-q', '--yes'],
    ]) {
      const options = { env: { PATH: '/usr/bin:/bin', ...UNCOVERED }, cwd: '/' };
      const run = await execute(process.execPath, [...program(), '--config', config, ...words], options);
      expect(run).to.deep.include({ stdout: '', stderr: '' });
    }
  });

  function program(): readonly string[] {
    return world.commandLine([]).slice(1, 2);
  }
}
