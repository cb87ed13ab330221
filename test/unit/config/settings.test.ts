import { expect } from 'chai';
import { effectiveSettings, type FileSettings, SETTINGS } from '../../../src/config/settings.ts';
import { UsageError } from '../../../src/errors.ts';

function fileWith(...settings: readonly (readonly [string, string | number])[]): FileSettings {
  return {
    file: '/etc/c.yaml',
    settings: new Map(settings.map(([key, value], index) => [key, { value, line: index + 1, column: 1 }])),
  };
}

describe('effectiveSettings', () => {
  const byDefault = { kind: 'default' };

  it('has a value for every key, or none where nothing is the default', () => {
    const effective = effectiveSettings({}, {}, undefined);
    expect(Object.fromEntries([...effective].map(([key, { value }]) => [key, value]))).to.deep.equal({
      connect: undefined,
      pool: 'uvtool',
      'state-dir': undefined,
      'cache-dir': undefined,
      'metadata-dir': undefined,
      jobs: 2,
      reserve: '0',
      retries: 4,
      'stall-timeout': '60s',
      'keep-versions': 1,
      grace: '2h',
      'min-age': '2h',
      'unused-for': undefined,
      'max-size': undefined,
      gone: 'keep',
      'trash-for': '7d',
      'trash-min-free': 10,
      owner: undefined,
      group: undefined,
      mode: undefined,
    });
    expect([...effective.values()].map(({ origin }) => origin)).to.deep.equal(SETTINGS.map(() => byDefault));
  });

  it('lets the option beat the environment, that the file, and that the default', () => {
    const file = fileWith(['connect', 'qemu:///file']);
    const env = { LIBVIRT_DEFAULT_URI: 'qemu:///env' };
    expect(effectiveSettings({ connect: 'qemu:///flag' }, env, file).get('connect')).to.deep.equal({
      value: 'qemu:///flag',
      origin: { kind: 'flag' },
    });
    expect(effectiveSettings({}, env, file).get('connect')).to.deep.equal({
      value: 'qemu:///env',
      origin: { kind: 'environment', variable: 'LIBVIRT_DEFAULT_URI' },
    });
    expect(effectiveSettings({}, { LIBVIRT_DEFAULT_URI: '' }, file).get('connect')).to.deep.equal({
      value: 'qemu:///file',
      origin: { kind: 'file', file: '/etc/c.yaml', line: 1 },
    });
  });

  it('checks what the environment says', () => {
    expect(() => effectiveSettings({}, { POOLKEEPER_STATE_DIR: 'state' }, undefined)).to.throw(
      UsageError,
      'POOLKEEPER_STATE_DIR must be an absolute path',
    );
  });

  it('takes the metadata directory of the file for that of its pool only', () => {
    const file = fileWith(['pool', 'images'], ['metadata-dir', '/m']);
    const ofFile = { value: '/m', origin: { kind: 'file', file: '/etc/c.yaml', line: 2 } };
    expect(effectiveSettings({}, {}, file).get('metadata-dir')).to.deep.equal(ofFile);
    expect(effectiveSettings({ pool: 'images' }, {}, file).get('metadata-dir')).to.deep.equal(ofFile);
    const none = { value: undefined, origin: byDefault };
    expect(effectiveSettings({ pool: 'other' }, {}, file).get('metadata-dir')).to.deep.equal(none);
    expect(effectiveSettings({}, { POOLKEEPER_POOL: 'other' }, file).get('metadata-dir')).to.deep.equal(none);
    const flag = { value: '/n', origin: { kind: 'flag' } };
    expect(effectiveSettings({ pool: 'other', metadataDir: '/n' }, {}, file).get('metadata-dir')).to.deep.equal(flag);
  });
});
