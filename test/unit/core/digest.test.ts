import { expect } from 'chai';
import { parseDigest } from '../../../src/core/digest.ts';
import { storedFormat } from '../../../src/core/import-form.ts';
import { UsageError } from '../../../src/errors.ts';

describe('a checksum on the command line', () => {
  it('names its algorithm and has all of its digits', () => {
    expect(parseDigest(`SHA256:${'Ab'.repeat(32)}`)).to.deep.equal({ algorithm: 'sha256', hex: 'ab'.repeat(32) });
    expect(parseDigest(`sha512:${'0f'.repeat(64)}`)).to.deep.equal({ algorithm: 'sha512', hex: '0f'.repeat(64) });
    for (const text of [
      '',
      'ab'.repeat(32),
      `md5:${'ab'.repeat(16)}`,
      `sha256:${'ab'.repeat(31)}`,
      `sha256:${'xy'.repeat(32)}`,
    ])
      expect(() => parseDigest(text), text).to.throw(UsageError, `'${text}' is no checksum`);
  });
});

describe('the format that an image is kept in', () => {
  it('is qcow2, but for discs and data that came raw', () => {
    const kept = (['raw', 'qcow2', 'vmdk', 'vhdx', 'vpc'] as const).map((found) =>
      (['os', 'cdrom', 'datablock'] as const).map((type) => storedFormat(found, type)),
    );
    expect(kept).to.deep.equal([['qcow2', 'raw', 'raw'], ...Array.from({ length: 4 }, () => Array(3).fill('qcow2'))]);
  });
});
