import { expect } from 'chai';
import { array, assert, bigInt, double, integer, option, property, string } from 'fast-check';
import stringWidth from 'string-width';
import { progressLine } from '../../../src/report/progress-line.ts';

const MIB = 1024n * 1024n;
const TRANSFER = {
  label: 'com.ubuntu.cloud:server:24.04:amd64 20240423',
  elapsedMs: 12_000,
  doneBytes: 270n * MIB,
  totalBytes: 586n * MIB,
  bytesPerSecond: 23.1 * 1024 * 1024,
};

describe('a line about long work', () => {
  it('has a bar, the percentage, the rate and the time that is left at 80 columns', () => {
    expect(progressLine(TRANSFER, 79)).to.equal(
      'com.ubuntu.cloud:server:24.04:am…  [#######---------]  46%  23.1 MiB/s     0:14',
    );
  });

  it('has the sizes as well where there is room', () => {
    expect(progressLine(TRANSFER, 120)).to.equal(
      `${TRANSFER.label}  [#######---------]  46%  23.1 MiB/s     0:14      270 MiB of 586 MiB`,
    );
  });

  it('says nothing of rate and time before they are known, and has a dash for never', () => {
    const label = 'a';
    expect(progressLine({ ...TRANSFER, label, bytesPerSecond: undefined }, 50).trimEnd()).to.equal(
      'a  [#######---------]  46%',
    );
    expect(progressLine({ ...TRANSFER, label, bytesPerSecond: 0 }, 50)).to.equal(
      'a  [#######---------]  46%       0 B/s     -:--',
    );
    expect(progressLine({ ...TRANSFER, label, bytesPerSecond: 50_000 }, 50)).to.equal(
      'a  [#######---------]  46%  48.8 KiB/s  1:50:28',
    );
  });

  it('is full when nothing is left, and when there was nothing to do', () => {
    const label = 'a';
    expect(progressLine({ ...TRANSFER, label, doneBytes: 586n * MIB }, 50)).to.contain('[################] 100%');
    expect(progressLine({ ...TRANSFER, label, doneBytes: 0n, totalBytes: 0n }, 50)).to.contain('100%');
  });

  it('turns a sign for work whose end cannot be foreseen', () => {
    const scan = { ...TRANSFER, label: 'look around', totalBytes: undefined };
    const lines = [0, 250, 500, 750, 1000].map((elapsedMs) => progressLine({ ...scan, elapsedMs }, 79));
    expect(lines.map((line) => line.at('look around  '.length))).to.deep.equal(['|', '/', '-', '\\', '|']);
    expect(progressLine({ ...scan, elapsedMs: 75_000 }, 79)).to.equal('look around  |  1min 15s');
  });

  it('never is wider than the terminal, whatever the label and the figures are', () => {
    const figures = array(bigInt({ min: 0n, max: 2n ** 60n }), { minLength: 2, maxLength: 2 });
    const rate = option(double({ min: 0, max: 1e12, noNaN: true }), { nil: undefined });
    assert(
      property(
        string({ unit: 'grapheme' }),
        figures,
        rate,
        integer({ min: 1, max: 200 }),
        (label, sizes, pace, width) => {
          const [doneBytes = 0n, totalBytes] = sizes;
          const line = progressLine({ label, elapsedMs: 0, doneBytes, totalBytes, bytesPerSecond: pace }, width);
          expect(stringWidth(line)).to.be.at.most(width);
          expect(line).not.to.contain('\n');
        },
      ),
    );
  });
});
