import { expect } from 'chai';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { isJournalStream } from '../../../src/report/journal-stream.ts';

describe('a descriptor', () => {
  it('is connected to the journal when JOURNAL_STREAM names its device and inode', () => {
    const descriptor = openSync('/dev/null', 'r');
    const { dev, ino } = fstatSync(descriptor);
    expect(isJournalStream(descriptor, { JOURNAL_STREAM: `${dev}:${ino}` })).to.equal(true);
    expect(isJournalStream(descriptor, { JOURNAL_STREAM: `${dev}:${ino + 1}` })).to.equal(false);
    expect(isJournalStream(descriptor, {})).to.equal(false);
    closeSync(descriptor);
    expect(isJournalStream(descriptor, { JOURNAL_STREAM: `${dev}:${ino}` })).to.equal(false);
  });
});
