import { expect } from 'chai';
import { parseQemuConfig } from '../../../src/usage/qemu-config.ts';

describe('parseQemuConfig', () => {
  it('reads groups as arguments', () => {
    const text = [
      '# made by qemu -writeconfig',
      '[drive "d0"]',
      '  file = "/a,b.img"',
      '  format = "qcow2"',
      '',
      '[machine]',
      'kernel = "/k"',
      '[boot-opts]',
    ].join('\n');
    expect(parseQemuConfig(text)).to.deep.equal([
      { previous: '-drive', value: 'file=/a,,b.img,format=qcow2' },
      { previous: '-machine', value: 'kernel=/k' },
      { previous: '-boot-opts', value: '' },
    ]);
  });

  for (const text of ['file = "/a"', '[drive]\nfile = /a', '[drive\n', 'nonsense']) {
    it(`refuses ${JSON.stringify(text)} as QEMU does`, () => {
      expect(parseQemuConfig(text)).to.equal(undefined);
    });
  }
});
