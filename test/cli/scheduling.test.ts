import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { EXIT } from '../../src/errors.ts';
import { runProgram } from '../support/world.ts';

const PACKAGING = new URL('../../../packaging/', import.meta.url);
const SERVICE = 'poolkeeper-sync.service';
const TIMER = 'poolkeeper-sync.timer';

/** systemd's measure of what a service could do, from 0 to 100; what stays open is explained in the unit. */
const MOST_EXPOSURE = 36;

describe('scheduling', () => {
  let root: string;

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'pk-units-'));
    // Where poolkeeper is not installed, another program stands for it: systemd looks whether it is there.
    const service = await readFile(new URL(SERVICE, PACKAGING), 'utf8');
    await writeFile(join(root, SERVICE), service.replaceAll('/usr/bin/poolkeeper', process.execPath));
    await writeFile(join(root, TIMER), await readFile(new URL(TIMER, PACKAGING)));
  });
  after(() => rm(root, { recursive: true, force: true }));

  async function analyze(...args: readonly string[]): Promise<string> {
    const { stdout, stderr } = await promisify(execFile)('systemd-analyze', [...args], { cwd: root });
    return stdout + stderr;
  }

  it('has units that systemd finds nothing wrong with', async () => {
    expect(await analyze('verify', '--man=no', `./${SERVICE}`, `./${TIMER}`)).to.equal('');
  });

  it('has a service that is hardened', async () => {
    const options = ['--no-pager', '--offline=true', `--threshold=${MOST_EXPOSURE}`];
    expect(await analyze('security', ...options, `./${SERVICE}`)).to.include('Overall exposure level');
  });

  it('lets its service rename out of every directory, take leases and act for the owner of a pool [F2]', async () => {
    const service = await readFile(join(root, SERVICE), 'utf8');
    const valuesOf = (key: string): readonly string[] =>
      [...service.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value = '']) => value);
    const rights = (valuesOf('CapabilityBoundingSet')[0] ?? '').split(' ');
    expect(rights).to.include.members(['CAP_LEASE', 'CAP_SETUID', 'CAP_SETGID', 'CAP_DAC_READ_SEARCH']);
    expect(rights).to.not.include('CAP_DAC_OVERRIDE');
    expect(valuesOf('ProtectSystem')).to.deep.equal(['full']);
    expect([...valuesOf('ReadWritePaths'), ...valuesOf('StateDirectory')]).to.deep.equal([]);
    expect(valuesOf('SystemCallFilter')[0]?.split(' ')).to.include('open_by_handle_at');
  });

  it('has a timer that runs once a day, whenever the host is up', async () => {
    const timer = await readFile(join(root, TIMER), 'utf8');
    const [, calendar = ''] = /^OnCalendar=(.*)$/m.exec(timer) ?? [];
    expect(await analyze('calendar', '--iterations=2', calendar)).to.match(/Iter. #2/i);
    expect(timer).to.match(/^Persistent=true$/m);
    expect(timer).to.match(/^RandomizedDelaySec=\S+$/m);
  });

  it('takes no run for a failure that another run or a stop made needless', async () => {
    const service = await readFile(new URL(SERVICE, PACKAGING), 'utf8');
    const [, statuses] = /^SuccessExitStatus=(.*)$/m.exec(service) ?? [];
    expect(statuses?.split(' ').map(Number)).to.have.members([EXIT.locked, EXIT.terminated]);
  });

  it('starts commands that the program has, by systemd and by cron', async () => {
    const service = await readFile(new URL(SERVICE, PACKAGING), 'utf8');
    const cron = await readFile(new URL('poolkeeper.cron', PACKAGING), 'utf8');
    const commands = [
      /^ExecStart=\/usr\/bin\/poolkeeper (.*)$/m.exec(service),
      /^(?:[\d*]+ ){5}root .*\bpoolkeeper (\w+ --\w+) /m.exec(cron),
    ].map((found) => found?.[1]);
    expect(commands).to.deep.equal(['sync --quiet', 'sync --quiet']);
    const { stdout } = await runProgram(['sync', '--help'], root);
    expect(stdout).to.match(/^ {2}-q, --quiet /m);
  });
});
