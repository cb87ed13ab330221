import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { jsonLines } from '../support/json-lines.ts';
import { type Run, runProgram } from '../support/world.ts';

const TESTDATA = fileURLToPath(new URL('../../../testdata/', import.meta.url));
const PROGRAM = fileURLToPath(new URL('../../../bin/poolkeeper.js', import.meta.url));
const HINT = 'poolkeeper: hint: nothing that it may name can be called unused until it is readable\n';

interface Golden {
  readonly kind: string;
  readonly references: readonly Readonly<Record<string, unknown>>[];
}

function golden(xmlFile: string): Golden {
  return JSON.parse(readFileSync(join(TESTDATA, xmlFile.replace(/xml$/, 'json')), 'utf8')) as Golden;
}

/** The line that the program prints for a document in testdata. */
function expected(xmlFile: string, file = xmlFile): unknown {
  const { kind, references } = golden(xmlFile);
  // Whether a folder is shown as a FAT disk is for the use graph, not for people.
  return { file, kind, references: references.map(({ isFat: _isFat, ...reference }) => reference) };
}

function runReferences(...files: readonly string[]): Promise<Run> {
  return runProgram(['references', ...files], TESTDATA);
}

async function referencesOfInput(input: Uint8Array, ...files: readonly string[]): Promise<Run> {
  const child = spawn(process.execPath, [PROGRAM, 'references', ...files], { cwd: TESTDATA });
  child.stdin.end(input);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { status: child.exitCode ?? -1, stdout, stderr };
}

describe('references', () => {
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pk-references-'));
  });
  after(() => rm(folder, { recursive: true }));

  it('prints one line per document with all that it refers to', async () => {
    const files = ['domain', 'volume'].flatMap((kind) =>
      readdirSync(join(TESTDATA, kind))
        .filter((name) => name.endsWith('.xml'))
        .map((name) => `${kind}/${name}`),
    );
    const run = await runReferences(...files);
    expect({ ...run, stdout: jsonLines(run.stdout) }).to.deep.equal({
      status: 0,
      stdout: files.map((file) => expected(file)),
      stderr: '',
    });
  });

  it('gives a reference its pool or protocol where it has one, and no other key', async () => {
    const xml = join(folder, 'keys.xml');
    await writeFile(
      xml,
      `<domain><devices>
        <disk type='file'><source file='/a'/></disk>
        <disk type='volume'><source pool='p' volume='v'/></disk>
        <disk type='network'><source protocol='rbd' name='p/i'/></disk>
        <filesystem><source dir='/d'/></filesystem>
        <qemu:commandline xmlns:qemu='urn:q'><qemu:arg value='x,y=nbd:h'/></qemu:commandline>
      </devices></domain>`,
    );
    const run = await runReferences(xml);
    expect(jsonLines(run.stdout)).to.deep.equal([
      {
        file: xml,
        kind: 'domain',
        references: [
          { kind: 'path', value: '/a', evidence: '/domain/devices/disk[1]/source/@file' },
          { kind: 'volume', value: 'v', pool: 'p', evidence: '/domain/devices/disk[2]/source/@volume' },
          { kind: 'network', value: 'p/i', protocol: 'rbd', evidence: '/domain/devices/disk[3]/source/@name' },
          { kind: 'dir', value: '/d', evidence: '/domain/devices/filesystem/source/@dir' },
          { kind: 'text', value: 'x,y=nbd:h', evidence: '/domain/devices/qemu:commandline/qemu:arg/@value' },
        ],
      },
    ]);
  });

  it('prints the others when some cannot be read, and exits with 3', async () => {
    await writeFile(join(folder, 'broken.xml'), '<domain><devices>');
    await writeFile(join(folder, 'other.xml'), '<html/>');
    const [broken, other, missing] = ['broken.xml', 'other.xml', 'missing.xml'].map((name) => join(folder, name));
    const files = [broken, 'domain/chain.xml', other, missing, folder, 'volume/rbd.xml'] as string[];
    const run = await runReferences(...files);
    expect({ ...run, stdout: jsonLines(run.stdout) }).to.deep.equal({
      status: 3,
      stdout: [expected('domain/chain.xml'), expected('volume/rbd.xml')],
      stderr: [
        `poolkeeper: error: cannot tell what '${broken}' refers to: cannot read the XML document: `,
        `line 1: unclosed xml tag(s): domain, devices\n${HINT}`,
        `poolkeeper: error: cannot tell what '${other}' refers to: cannot read the XML document: `,
        `its root element <html> is not one of libvirt's\n${HINT}`,
        `poolkeeper: error: cannot read '${missing}'\n`,
        'poolkeeper: hint: check that it exists and that you may read it\n',
        `poolkeeper: error: cannot read '${folder}'\n`,
        'poolkeeper: hint: check that it exists and that you may read it\n',
        'poolkeeper: error: 4 of 6 document(s) could not be read\n',
      ].join(''),
    });
  });

  it('prints failures as lines of JSON too, with --json', async () => {
    const missing = join(folder, 'missing.xml');
    const run = await runReferences('--json', missing, 'volume/rbd.xml');
    const hint = 'check that it exists and that you may read it';
    expect({ ...run, stdout: jsonLines(run.stdout) }).to.deep.equal({
      status: 3,
      stdout: [
        {
          message_type: 'error',
          message: `cannot read '${missing}'`,
          hint,
          code: 'POOLKEEPER_FAILURE',
          exit_status: 1,
        },
        expected('volume/rbd.xml'),
        {
          message_type: 'error',
          message: '1 of 2 document(s) could not be read',
          code: 'POOLKEEPER_PARTIAL',
          exit_status: 3,
        },
      ],
      stderr: '',
    });
  });

  it('exits with 3 when no document can be read', async () => {
    const run = await runReferences(join(folder, 'missing.xml'));
    expect({ status: run.status, stdout: run.stdout }).to.deep.equal({ status: 3, stdout: '' });
  });

  it('reads standard input for -, among other files', async () => {
    const input = readFileSync(join(TESTDATA, 'domain/chain.xml'));
    const run = await referencesOfInput(input, 'volume/rbd.xml', '-');
    expect({ ...run, stdout: jsonLines(run.stdout) }).to.deep.equal({
      status: 0,
      stdout: [expected('volume/rbd.xml'), expected('domain/chain.xml', '-')],
      stderr: '',
    });
  });

  it('reads names that are not UTF-8, a byte order mark, and a file as libvirt keeps it in /etc', async () => {
    const xml =
      '\u00ef\u00bb\u00bf<!--\nWARNING: made by libvirt\n-->\n\n<domain><os><kernel>/a\u00ff</kernel></os></domain>';
    const run = await referencesOfInput(Buffer.from(xml, 'latin1'), '-');
    expect({ ...run, stdout: jsonLines(run.stdout) }).to.deep.equal({
      status: 0,
      stdout: [
        { file: '-', kind: 'domain', references: [{ kind: 'path', value: '/a\ufffd', evidence: '/domain/os/kernel' }] },
      ],
      stderr: '',
    });
  });

  it('writes nothing that could steer a terminal', async () => {
    const run = await referencesOfInput(Buffer.from('<domain><os><kernel>/a\u009b2J\n</kernel></os></domain>'), '-');
    expect(run.stdout).to.equal(
      '{"file":"-","kind":"domain","references":' +
        '[{"kind":"path","value":"/a\\u009b2J\\n","evidence":"/domain/os/kernel"}]}\n',
    );
  });

  it('refuses to run without a file', async () => {
    expect((await runReferences()).status).to.equal(2);
  });
});
