import { expect } from 'chai';
import type { ImageName } from '../../../../src/core/backing-string.ts';
import { readArgument } from '../../../../src/libvirt/xml/command-line.ts';

function path(value: string): ImageName {
  return { kind: 'path', value };
}

function text(value: string): ImageName {
  return { kind: 'text', value };
}

type Row = readonly [option: string, argument: string, expected: readonly ImageName[]];

const ARGUMENTS: readonly Row[] = [
  ['-drive', 'file=/a,if=none', [path('/a')]],
  ['-drive', 'if=none,file=/a,,b,,,,c,,', [path('/a,b,,c,')]],
  ['-drive', 'file=/a,,,format=raw', [path('/a,')]],
  ['-drive', 'file=rel.img,if=none', [path('rel.img')]],
  ['-drive', 'file.filename=/a,file.driver=file', [path('/a')]],
  ['-drive', 'file.driver=rbd,file.pool=p,file.image=i', [text('file.driver=rbd,file.pool=p,file.image=i')]],
  ['-drive', 'file=nbd:host:10809,if=none', [text('file=nbd:host:10809,if=none')]],
  ['-drive', 'file=json:{"driver":"file",,"filename":"/a"}', [path('/a')]],
  ['-drive', 'file=fat:rw:/a,format=raw', [{ kind: 'dir', value: '/a', isFat: true }]],
  ['-blockdev', 'driver=qcow2,node-name=n,file=f', []],
  ['-blockdev', 'driver=file,node-name=f,filename=/a', [path('/a')]],
  ['-blockdev', '{"driver":"file","node-name":"f","filename":"/a,b"}', [path('/a,b')]],
  ['-blockdev', '{"driver":"qcow2","file":"f","backing":"g"}', []],
  ['-blockdev', '{"driver":"file","filename":"rel.img"}', [text('{"driver":"file","filename":"rel.img"}')]],
  ['-blockdev', '{"driver":"file","filename":"/a"', [text('{"driver":"file","filename":"/a"')]],
  ['-cdrom', 'rel.iso', [path('rel.iso')]],
  ['-readconfig', 'guest.cfg', [path('guest.cfg')]],
  ['--kernel', '/a,b', [path('/a,b')]],
  ['-append', 'root=/dev/vda1', []],
  ['-fsdev', 'local,id=f,path=/a', [{ kind: 'dir', value: '/a' }]],
  ['-chardev', 'socket,id=c,path=/a.sock', []],
  ['-chardev', 'file,id=c,path=/a.log', [path('/a.log')]],
  ['-vnc', 'unix:/a.sock', []],
  ['-fw_cfg', 'name=opt/a/b,file=/a', [path('/a')]],
  ['-device', 'x,where=images/a', [text('x,where=images/a')]],
  ['-device', 'e1000,netdev=n,mac=52:54:00:00:00:01', []],
  ['-s', '3:0,virtio-blk,/a,b.img', [path('/a'), text('3:0,virtio-blk,/a,b.img')]],
  ['-nographic', '/a', [path('/a')]],
  ['', 'gluster://host/vol/a', [text('gluster://host/vol/a')]],
  ['', 'none', []],
];

describe('readArgument', () => {
  for (const [option, argument, expected] of ARGUMENTS) {
    it(`reads ${option} ${argument}`, () => {
      expect(readArgument(argument, option)).to.deep.equal(expected);
    });
  }
});
