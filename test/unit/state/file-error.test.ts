import { expect } from 'chai';
import { FailureError, IntegrityError, NoSpaceError } from '../../../src/errors.ts';
import { fileError } from '../../../src/state/file-error.ts';
import { errnoCode } from '../../../src/util/errno.ts';

const systemError = (code: string): Error => Object.assign(new Error('text that must not matter'), { code });

describe('fileError', () => {
  for (const [code, type, reason] of [
    ['ENOSPC', NoSpaceError, 'no space left'],
    ['EDQUOT', NoSpaceError, 'quota exceeded'],
    ['EROFS', FailureError, 'read-only file system'],
    ['EACCES', FailureError, 'permission denied'],
    ['EPERM', FailureError, 'permission denied'],
    ['ELOOP', IntegrityError, 'it is a symbolic link'],
  ] as const) {
    it(`explains ${code} and says what to do`, () => {
      const cause = systemError(code);
      const error = fileError("cannot write '/x'", cause);
      expect(error).to.be.instanceOf(type);
      expect(error).to.include({ message: `cannot write '/x': ${reason}`, cause });
      expect(error).to.have.property('hint').that.is.a('string');
    });
  }

  it('names every other code', () => {
    const error = fileError("cannot write '/x'", systemError('EIO'));
    expect(error).to.be.instanceOf(FailureError);
    expect(error.message).to.equal("cannot write '/x': EIO");
  });

  it('passes on what already is an error of ours, and bugs', () => {
    const known = new IntegrityError('damaged');
    const bug = new TypeError('undefined is not a function');
    expect(fileError('cannot', known)).to.equal(known);
    expect(fileError('cannot', bug)).to.equal(bug);
  });
});

describe('errnoCode', () => {
  it('reads codes of errors only', () => {
    expect(errnoCode(systemError('ENOENT'))).to.equal('ENOENT');
    for (const other of [undefined, null, 'ENOENT', { code: 'ENOENT' }, new Error('ENOENT')]) {
      expect(errnoCode(other)).to.equal(undefined);
    }
  });
});
