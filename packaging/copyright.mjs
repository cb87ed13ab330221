// The licences of bundled libraries, as paragraphs of a Debian copyright file.
import * as fs from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';

const MIT = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;

const LGPL3 = `This library is free software; you can redistribute it and/or modify it under the terms of the GNU Lesser General
Public License, version 3 or later, as published by the Free Software Foundation. On Debian systems, its text is in
/usr/share/common-licenses/LGPL-3.`;

/** Texts for licences that a library only names, or that Debian has. */
const KNOWN = new Map([
  ['MIT', MIT],
  ['LGPL-3.0+', LGPL3],
]);

/** Whether a file is a licence. */
export function isLicence(path) {
  return /^(?:licen[cs]e|copying)(?:-\w+)?(?:\.(?:txt|md))?$/i.test(basename(path));
}

/**
 * One paragraph for each package below `modules`, with paths relative to `root`.
 *
 * Throws when a library has neither a text nor a licence that is known here: nobody may ship it unseen.
 */
export function describeLibraries(modules, root) {
  return findManifests(modules).map((path) => {
    const { name, version, license, author } = JSON.parse(fs.readFileSync(path, 'utf8'));
    const file = fs.readdirSync(dirname(path)).find(isLicence);
    const text = file === undefined ? '' : fs.readFileSync(join(dirname(path), file), 'utf8');
    const body = license === 'LGPL-3.0+' || text === '' ? KNOWN.get(license) : text;
    if (body === undefined) throw new Error(`${name} ${version} has no licence text, and '${license}' is not known`);
    const holders = copyrightLines(text);
    return [
      `Files: ${relative(root, dirname(path))}/*`,
      `Copyright: ${holders.length > 0 ? holders.join('\n ') : authorName(author, name)}`,
      `License: ${license}-as-in-${name.replaceAll(/[^\w.-]/g, '-')}-${version}`,
      ...indent(body),
      '',
    ].join('\n');
  });
}

function findManifests(modules) {
  const paths = fs.readdirSync(modules, { recursive: true }).map((name) => join(modules, name));
  return paths.filter((path) => /node_modules\/(?:@[^/]+\/)?[^/@]+\/package\.json$/.test(path)).sort();
}

function copyrightLines(text) {
  const lines = text.split('\n').map((line) => line.trim());
  return lines.filter((line) => /^copyright\b.*\d{4}/i.test(line) && !/free software foundation/i.test(line));
}

function authorName(author, name) {
  return (typeof author === 'string' ? author : author?.name) ?? `the authors of ${name}`;
}

/** The body of a multi-line field: each line behind a blank, an empty one as a dot. */
function indent(text) {
  const lines = text.trim().split(/\r?\n/);
  return lines.map((line) => (line.trim() === '' ? ' .' : ` ${line.trim()}`));
}
