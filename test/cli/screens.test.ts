import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { compareWithGolden } from '../support/golden.ts';
import { screenOf } from '../support/screen.ts';
import { runInTerminal } from '../support/terminal.ts';
import { World } from '../support/world.ts';

const execute = promisify(execFile);

/** What is looked at. */
const COMMANDS = ['list', 'usage', 'orphans', 'doctor', '--help'] as const;

describe('screens', () => {
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

  async function screen(line: string, columns: number): Promise<string> {
    const { output } = await runInTerminal(['--config', config, ...line.split(' ')], [], columns);
    const lines = await screenOf(output.replaceAll('\n', '\r\n'), { columns, rows: 24 });
    return `$ poolkeeper ${line}\n${plain(lines.join('\n'))}\n`;
  }

  it('of 80 columns: a sync that brings two images leaves a line for each', async () => {
    const { output } = await runInTerminal(['--config', config, 'sync', '--jobs', '1'], [], 80);
    const lines = await screenOf(output.replaceAll('\n', '\r\n'));
    expect(plain(lines.toSorted().join('\n'))).to.equal(
      [
        'fetch image com.ubuntu.cloud:server:22.04:amd64 20240416 (SIZE)',
        'fetch image com.ubuntu.cloud:server:24.04:amd64 20240423 (SIZE)',
        'fetched image com.ubuntu.cloud:server:22.04:amd64 20240416 (SIZE)',
        'fetched image com.ubuntu.cloud:server:24.04:amd64 20240423 (SIZE)',
      ].join('\n'),
    );
  });

  for (const columns of [80, 200]) {
    it(`of ${columns} columns are as in the golden file`, async () => {
      const screens = [];
      // Where the lines of doctor break at 80 columns depends on how long the paths of this run are.
      const lines = columns < 200 ? COMMANDS.filter((line) => line !== 'doctor') : COMMANDS;
      for (const line of lines) screens.push(await screen(line, columns));
      for (const shown of screens) for (const row of shown.split('\n')) expect(row.length).to.be.at.most(columns);
      compareWithGolden(`screens-${columns}.txt`, screens.join('\n'));
    });
  }

  it('are whole and without colour in a pipe', async () => {
    const { stdout, stderr } = await execute(process.execPath, [...program(), '--config', config, 'list']);
    expect(stderr).to.equal('');
    expect(stdout).to.not.include('\u001b');
    expect(stdout).to.not.include('…');
    expect(stdout).to.include('com.ubuntu.cloud:server:22.04:amd64').and.to.include(world.server.url);
  });

  it('are not needed: nothing is said by an unchanged run with -q in the environment of cron', async () => {
    for (const words of [
      ['sync', '-q'],
      ['gc', '-q', '--yes'],
    ]) {
      const options = { env: { PATH: '/usr/bin:/bin', NODE_V8_COVERAGE: '' }, cwd: '/' };
      const run = await execute(process.execPath, [...program(), '--config', config, ...words], options);
      expect(run).to.deep.include({ stdout: '', stderr: '' });
    }
  });

  function program(): readonly string[] {
    return world.commandLine([]).slice(1, 2);
  }
});
