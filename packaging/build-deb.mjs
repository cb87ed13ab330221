// Builds a Debian package of this checkout: node packaging/build-deb.mjs [--revision=N] [--out=DIR]
// From a staging tree and with dpkg-deb alone. The same commit and lock file give the same package, byte for byte.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { describeLibraries, isLicence } from './copyright.mjs';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const PACKAGING = join(ROOT, 'packaging');
const HOME = 'usr/lib/poolkeeper';
const DOC = 'usr/share/doc/poolkeeper';
const MAINTAINER = 'poolkeeper maintainers <maintainers@poolkeeper.invalid>';
const MAINTAINER_SCRIPTS = ['postinst', 'prerm', 'postrm'];

/** What no run reads of the libraries: documentation, types, tools, sources, and koffi for other C libraries. */
const UNUSED = [
  /\.(?:md|[cm]?ts|map|tsbuildinfo|cc|hh?|S|asm|def|inc)$/,
  /\/\.[^/]+$/,
  /\/koffi\/(?:vendor|doc|lib|cnoke\.cjs|src\/koffi\/(?:CMakeLists\.txt|src\/(?:abi|trampolines\.cjs)))$/,
  /\/musl_\w+$/,
  /\/openpgp\/dist\/(?:lightweight|types|openpgp\..*|node\/.*(?:\.cjs|\.min\.mjs))$/,
  /\/fast-xml-parser\/src\/cli$/,
  /\/yaml\/(?:bin\.mjs|dist\/cli\.mjs|browser)$/,
];

const { values: options } = parseArgs({
  options: { revision: { type: 'string', default: '1' }, out: { type: 'string', default: ROOT } },
});
const manifest = JSON.parse(fs.readFileSync(join(ROOT, 'package.json'), 'utf8'));
const version = `${manifest.version}-${options.revision}`;
const architecture = run('dpkg', ['--print-architecture']).trim();
const epoch = Number(process.env['SOURCE_DATE_EPOCH'] ?? run('git', ['log', '-1', '--format=%ct']));
const stage = fs.mkdtempSync(join(tmpdir(), 'poolkeeper-deb-'));

process.umask(0o022);
try {
  stageProgram();
  const licences = stageLibraries();
  stageManuals();
  stageFiles();
  stageCompletions();
  stageDocumentation(licences);
  stageControl();
  process.stdout.write(`${buildPackage()}\n`);
} finally {
  fs.rmSync(stage, { recursive: true, force: true });
}

/** The program as npm would publish it, without what Debian has other places for. */
function stageProgram() {
  const packed = run('npm', ['pack', '--silent', '--pack-destination', stage]).trim().split('\n').at(-1);
  fs.mkdirSync(at(HOME), { recursive: true });
  run('tar', ['--extract', '--strip-components=1', `--directory=${at(HOME)}`, `--file=${at(packed)}`]);
  fs.rmSync(at(packed));
  for (const name of ['man', 'CHANGELOG.md', 'README.md', 'LICENSE']) fs.rmSync(at(HOME, name), { recursive: true });
  const program = at(HOME, 'bin/poolkeeper.js');
  fs.writeFileSync(program, fs.readFileSync(program, 'utf8').replace(/^#!.*/, '#!/usr/bin/node'));
  link('../lib/poolkeeper/bin/poolkeeper.js', 'usr/bin/poolkeeper');
  link('poolkeeper.js', `${HOME}/bin/uvt-simplestreams-libvirt`);
}

/** The locked libraries, as far as a run needs them; returns their licences. */
function stageLibraries() {
  fs.copyFileSync(join(ROOT, 'package-lock.json'), at(HOME, 'package-lock.json'));
  const quiet = ['--ignore-scripts', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
  run('npm', ['install', '--omit=dev', ...quiet], { cwd: at(HOME) });
  fs.rmSync(at(HOME, 'package-lock.json'));
  const licences = describeLibraries(at(HOME, 'node_modules'), stage);
  for (const path of filesBelow(at(HOME, 'node_modules'))) {
    if (isLicence(path) || UNUSED.some((pattern) => pattern.test(path)))
      fs.rmSync(path, { recursive: true, force: true });
  }
  return licences;
}

function stageManuals() {
  for (const name of fs.readdirSync(join(ROOT, 'man'))) {
    compress(fs.readFileSync(join(ROOT, 'man', name)), `usr/share/man/man${name.at(-1)}/${name}.gz`);
  }
}

function stageFiles() {
  const units = 'usr/lib/systemd/system';
  for (const unit of ['poolkeeper-sync.service', 'poolkeeper-sync.timer']) copy(unit, `${units}/${unit}`);
  copy('config.yaml', 'etc/poolkeeper/config.yaml');
  copy('poolkeeper.cron', `${DOC}/examples/poolkeeper.cron`);
  copy('debian/lintian-overrides', 'usr/share/lintian/overrides/poolkeeper');
}

function stageCompletions() {
  copy('completion/poolkeeper.bash', 'usr/share/bash-completion/completions/poolkeeper');
  copy('completion/_poolkeeper', 'usr/share/zsh/vendor-completions/_poolkeeper');
  copy('completion/poolkeeper.fish', 'usr/share/fish/vendor_completions.d/poolkeeper.fish');
}

function stageDocumentation(licences) {
  compress(fs.readFileSync(join(ROOT, 'CHANGELOG.md')), `${DOC}/changelog.gz`);
  compress(fs.readFileSync(join(ROOT, 'README.md')), `${DOC}/README.md.gz`);
  const date = new Date(epoch * 1000).toUTCString().replace('GMT', '+0000');
  const entry = '  * What has changed is said in changelog.gz, for all systems.';
  compress(
    `poolkeeper (${version}) stable; urgency=medium\n\n${entry}\n\n -- ${MAINTAINER}  ${date}\n`,
    `${DOC}/changelog.Debian.gz`,
  );
  write([fs.readFileSync(join(PACKAGING, 'debian/copyright'), 'utf8'), ...licences].join('\n'), `${DOC}/copyright`);
}

/** What dpkg is told. The C library and its version are those that koffi's own builds are linked with. */
function stageControl() {
  const files = filesBelow(stage).filter((path) => fs.lstatSync(path).isFile());
  const size = files.reduce((sum, path) => sum + Math.ceil(fs.statSync(path).size / 1024), 0);
  const sums = files.map((path) => `${md5(path)}  ${relative(stage, path)}\n`);
  const control = fs.readFileSync(join(PACKAGING, 'debian/control'), 'utf8');
  const values = { version, architecture, size, maintainer: MAINTAINER };
  write(
    control.replaceAll(/\{(\w+)\}/g, (_braces, name) => String(values[name])),
    'DEBIAN/control',
  );
  write(sums.sort().join(''), 'DEBIAN/md5sums');
  write('/etc/poolkeeper/config.yaml\n', 'DEBIAN/conffiles');
  for (const name of MAINTAINER_SCRIPTS) copy(`debian/${name}`, `DEBIAN/${name}`);
}

function buildPackage() {
  setModes();
  const file = resolve(options.out, `poolkeeper_${version}_${architecture}.deb`);
  const env = { ...process.env, SOURCE_DATE_EPOCH: String(epoch) };
  run('dpkg-deb', ['--root-owner-group', '-Zxz', '--build', stage, file], { env });
  return file;
}

/** Whatever the modes in the checkout and in npm's packages are. Times later than the commit's are cut by dpkg-deb. */
function setModes() {
  fs.chmodSync(stage, 0o755);
  for (const path of filesBelow(stage)) {
    const status = fs.lstatSync(path);
    if (status.isSymbolicLink()) continue;
    const isProgram =
      path === at(HOME, 'bin/poolkeeper.js') || MAINTAINER_SCRIPTS.some((name) => path === at('DEBIAN', name));
    fs.chmodSync(path, status.isDirectory() || isProgram ? 0o755 : 0o644);
    fs.utimesSync(path, epoch, epoch);
  }
}

function run(program, args, more = {}) {
  return execFileSync(program, args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], ...more });
}

function at(...names) {
  return join(stage, ...names);
}

function filesBelow(directory) {
  return fs
    .readdirSync(directory, { recursive: true })
    .map((name) => join(directory, name))
    .sort();
}

function write(content, place) {
  fs.mkdirSync(dirname(at(place)), { recursive: true });
  fs.writeFileSync(at(place), content);
}

function copy(name, place) {
  write(fs.readFileSync(join(PACKAGING, name)), place);
}

function compress(content, place) {
  write(gzipSync(content, { level: 9 }), place);
}

function link(target, place) {
  fs.mkdirSync(dirname(at(place)), { recursive: true });
  fs.symlinkSync(target, at(place));
}

function md5(path) {
  return createHash('md5').update(fs.readFileSync(path)).digest('hex');
}
