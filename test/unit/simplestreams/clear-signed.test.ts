import { expect } from 'chai';
import * as fc from 'fast-check';

import { TrustError } from '../../../src/errors.ts';
import {
  assertPlainLines,
  isClearSigned,
  splitClearSigned,
  unwrapClearSigned,
} from '../../../src/simplestreams/clear-signed.ts';

const ARMOR = '-----BEGIN PGP SIGNATURE-----\n\niQ==\n-----END PGP SIGNATURE-----\n';
const GOOD = `-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{\n- -- dash\n- - two\n\nü}\n${ARMOR}`;

function refusal(text: string): string {
  try {
    splitClearSigned(Buffer.from(text), 'x.sjson');
  } catch (error) {
    expect(error).to.be.instanceOf(TrustError);
    return error instanceof Error ? error.message.replace('cannot trust x.sjson: ', '') : '';
  }
  return 'accepted';
}

describe('clear-signed documents', () => {
  it('are taken apart without copying', () => {
    const { body, signature } = splitClearSigned(Buffer.from(GOOD), 'x.sjson');
    expect(Buffer.from(body).toString()).to.equal('{\n- -- dash\n- - two\n\nü}\n');
    expect(Buffer.from(signature).toString()).to.equal(ARMOR);
  });

  it('are unwrapped without dash escapes', () => {
    expect(Buffer.from(unwrapClearSigned(Buffer.from(GOOD), 'x.sjson')).toString()).to.equal(
      '{\n-- dash\n- two\n\nü}\n',
    );
  });

  it('are recognised by their first line', () => {
    expect([GOOD, `\n${GOOD}`, ARMOR, ''].map((text) => isClearSigned(Buffer.from(text)))).to.deep.equal([
      true,
      false,
      false,
      false,
    ]);
  });

  for (const [title, text, expected] of [
    ['with white space at the end', `${GOOD}\n \r\n`, 'accepted'],
    ['with several Hash headers', GOOD.replace('\n\n', '\nHash: SHA256, SHA1\n\n'), 'accepted'],
    ['with nothing in them', '', 'it is not signed'],
    ['with a blank before them', ` ${GOOD}`, 'it is not signed'],
    ['with text in their first line', GOOD.replace('MESSAGE-----', 'MESSAGE-----x'), 'it is not signed'],
    ['behind other text', `x\n${GOOD}`, 'text precedes the signed message'],
    ['with text behind them', `${GOOD}x`, 'text follows the signature'],
    [
      'with a blank in the line that ends the headers',
      GOOD.replace('\n\n', '\n \n\n'),
      'it has an armor header that is not allowed',
    ],
    [
      'with a NotDashEscaped header',
      GOOD.replace('\n\n', '\nNotDashEscaped: x\n\n'),
      'it has an armor header that is not allowed',
    ],
    ['with a message in the message', GOOD.replace('{', GOOD), 'it holds more than one signed message'],
    ['with a second message behind', GOOD + GOOD, 'it holds more than one signed message'],
    ['with a dash that is not escaped', GOOD.replace('- --', '---'), 'a line begins with a dash that is not escaped'],
    ['with a second signature', GOOD + ARMOR, 'text follows the signature'],
    ['without their end', GOOD.slice(0, -3), 'a line begins with a dash that is not escaped'],
    ['without signature', GOOD.replace(ARMOR, ''), 'it is cut off'],
  ] as const) {
    it(`${title} are ${expected === 'accepted' ? 'accepted' : 'refused'}`, () => {
      expect(refusal(text)).to.equal(expected);
    });
  }

  it('may have lines of 16 KiB and no longer ones', () => {
    const line = 'x'.repeat(16 * 1024);
    expect(() => assertPlainLines(Buffer.from(`${line}\n${line}\n`), 'x')).to.not.throw();
    expect(() => assertPlainLines(Buffer.from(`${line}x`), 'x')).to.throw(TrustError);
  });

  it('may have no control characters but tabs and line ends', () => {
    expect(() => assertPlainLines(Buffer.from('a\tb\r\nc\n'), 'x')).to.not.throw();
    for (const text of ['a\rb', 'a\fb', 'a\0', '\u001b[31m', '\u007f', 'a\r']) {
      expect(() => assertPlainLines(Buffer.from(text), 'x'), JSON.stringify(text)).to.throw(TrustError);
    }
  });

  it('are refused with nothing but TrustErrors, whatever the bytes', () => {
    const lines = [
      '-----BEGIN PGP SIGNED MESSAGE-----',
      '-----BEGIN PGP SIGNATURE-----',
      '-----END PGP SIGNATURE-----',
    ];
    const line = fc.oneof(fc.constantFrom(...lines, '', 'Hash: SHA1', '- x', '-'), fc.string());
    const text = fc.array(line, { maxLength: 12 }).map((all) => all.join('\n'));
    fc.assert(fc.property(text, (all) => void refusal(all)));
    fc.assert(fc.property(text, (all) => void refusal(`${lines[0]}\n${all}`)));
  });
});
