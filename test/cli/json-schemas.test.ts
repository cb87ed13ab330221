import { expect } from 'chai';
import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jsonLines } from '../support/json-lines.ts';
import { type MessageSchema, readMessageSchema } from '../support/message-schema.ts';
import { messageTypesIn } from '../support/message-types.ts';
import { createQcow2 } from '../support/qemu.ts';
import { World } from '../support/world.ts';

const SOURCES = new URL('../../../src/', import.meta.url);
const NOBLE = 'com.ubuntu.cloud:server:24.04:amd64';

describe('the schemas of --json', () => {
  let world: World;
  let schema: MessageSchema;
  const seen = new Set<string>();

  before(async () => {
    [world, schema] = await Promise.all([World.start(), readMessageSchema()]);
    await world.createPool();
    await world.publish([await world.release('noble', '20240423'), await world.release('jammy', '20240416')]);
  });

  after(() => world.stop());

  /** Runs commands one after the other; what they print has to be as the schemas say. */
  const check = async (...commands: readonly (readonly string[])[]): Promise<void> => {
    for (const [command = '', ...args] of commands) {
      const options = [...args, '--json', '-v'];
      const run = await (command === 'sync' ? world.sync(...options) : world.poolkeeper(command, ...options));
      expect(schema.complaintsAbout(run.stdout), `${command} ${args.join(' ')}`).to.deep.equal([]);
      expect(run.stderr).to.equal('');
      for (const line of jsonLines(run.stdout)) seen.add(String(line['message_type']));
    }
  };

  it('describe every message that the program can print, and no other', async () => {
    const names = (await readdir(SOURCES, { recursive: true })).filter((name) => name.endsWith('.ts'));
    const texts = await Promise.all(names.map((name) => readFile(new URL(name, SOURCES), 'utf8')));
    const all = texts.join('\n');
    const undescribed = texts.flatMap(messageTypesIn).filter((type) => !schema.messageTypes.includes(type));
    expect(undescribed, 'to be added to src/report/schemas/messages.schema.json').to.deep.equal([]);
    const unused = schema.messageTypes.filter((type) => !all.includes(`'${type}'`));
    expect(unused).to.deep.equal([]);
  });

  it('hold for what sync, query, list, usage, why and doctor print', async () => {
    const filters = ['arch=amd64', 'release~^(noble|jammy)$'];
    await check(
      ['sync', '--dry-run', ...filters],
      ['sync', ...filters],
      ['query'],
      ['list'],
      ['usage'],
      ['usage', '--by-user'],
    );
    await world.define('web', { path: world.volumePath('noble', '20240423') });
    await check(
      ['why', `${NOBLE} 20240423`],
      ['doctor'],
      ['path', NOBLE],
      ['show', NOBLE],
      ['verify', NOBLE],
      ['tasks'],
      ['catalog', '--source', world.server.url, '--keyring', world.keyring],
      ['catalog', '--source', world.server.url, '--keyring', world.keyring, '--fields'],
      ['catalog', '--source', world.server.url, '--keyring', world.keyring, '--values', 'release'],
      ['sync', 'release=none'],
      ['sync', '--jobs', 'x'],
    );
    await world.libvirtd.virsh('undefine', 'web');
  });

  it('hold for what is printed about images, leases, keys and settings', async () => {
    await createQcow2(join(world.root, 'own.qcow2'), { sizeBytes: 2 ** 20 });
    await copyFile(world.keyring, join(world.root, 'state/keyring.asc'));
    await writeFile(join(world.root, 'c.yaml'), 'jobs: 3\n');
    await check(
      ['import', join(world.root, 'own.qcow2'), '--name', 'own'],
      ['create', '--name', 'data', '--size', '1M'],
      ['clone', NOBLE, 'disk.qcow2', '--overlay'],
      ['chmod', 'disk.qcow2', '600'],
      ['chmod', NOBLE, '600'],
      ['lock', NOBLE, '--until', '1h'],
      ['unlock', NOBLE],
      ['disable', NOBLE],
      ['enable', NOBLE],
      ['keyring', 'list'],
      ['config', 'check', join(world.root, 'c.yaml')],
      ['config', 'show', '--config', join(world.root, 'c.yaml')],
      ['orphans', '--min-age', '0'],
      ['persistent', 'local:own'],
      ['snapshot', 'create', 'local:own', 'first'],
      ['snapshot', 'list', 'local:own'],
      ['snapshot', 'revert', 'local:own', 'first', '--yes'],
      ['snapshot', 'flatten', 'local:own'],
      ['snapshot', 'delete', 'local:own', 'first'],
      ['nonpersistent', 'local:own'],
      ['delete', 'local:own'],
      ['undo', 'local:own'],
    );
    const run = await world.poolkeeper('lease', 'run', NOBLE, '--', process.execPath, '-e', '0');
    expect(run.status).to.equal(0);
    await check(['lease', 'list'], ['lease', 'release', '01234567']);
    await world.libvirtd.virsh('vol-delete', 'disk.qcow2', '--pool', 'uvtool');
  });

  it('hold for what gc, apply and purge print', async () => {
    await check(['sync', 'release=noble', 'arch=amd64']);
    await world.publish([await world.release('noble', '20240423', '20240501')]);
    const plan = join(world.root, 'plan.json');
    await check(
      ['sync', '--no-gc', '--grace', '1h', '--keep-versions', '2', 'release=noble', 'arch=amd64'],
      ['gc', '--dry-run', '--grace', '0', '--min-age', '0'],
      ['gc', '--out', plan, '--grace', '0', '--min-age', '0'],
      ['apply', plan],
      ['gc', '--yes', '--grace', '0', '--min-age', '0'],
      ['purge', '--yes'],
    );
    expect([...seen]).to.include.members(['verdict', 'swept', 'retention', 'retired', 'totals', 'plan_written']);
  });
});
