import type koffi from 'koffi';
import { LibvirtError } from '../errors.ts';
import { loadKoffi } from '../load-koffi.ts';
import type {
  ConnectFunctions,
  DomainFunctions,
  List,
  Native,
  NativeError,
  PoolFunctions,
  StreamFunctions,
  VolumeFunctions,
} from './signatures.ts';

/* oxlint-disable typescript/no-unnecessary-type-parameters -- a C prototype says nothing to the type checker: the
   return types of the tables below do, through these type parameters. */

type Koffi = typeof koffi;
type Library = ReturnType<Koffi['load']>;
type NativeFunction = ReturnType<Library['func']>;

const OLDEST_VERSION = 7_000_000;

/**
 * Loads libvirt.
 *
 * @throws LibvirtError when the library is missing or older than 7.0.0.
 */
export async function loadNative(libraryName = 'libvirt.so.0'): Promise<Native> {
  const ffi = loadKoffi();
  const library = loadLibrary(ffi, libraryName);
  assertVersion(library, libraryName);
  silence(library);
  const declare = new Declarations(ffi, library);
  return {
    ...connectFunctions(declare),
    ...poolFunctions(declare),
    ...volumeFunctions(declare),
    ...streamFunctions(declare),
    ...domainFunctions(declare),
  };
}

function loadLibrary(ffi: Koffi, libraryName: string): Library {
  try {
    return ffi.load(libraryName);
  } catch (cause) {
    throw new LibvirtError(`cannot load ${libraryName}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
      hint: 'apt-get install libvirt0',
    });
  }
}

function assertVersion(library: Library, libraryName: string): void {
  const getVersion = library.func('int virGetVersion(_Out_ unsigned long *, void *, void *)');
  const version: [number] = [0];
  if (getVersion(version, null, null) >= 0 && version[0] >= OLDEST_VERSION) return;
  const [found, needed] = [versionText(version[0]), versionText(OLDEST_VERSION)];
  throw new LibvirtError(`cannot use ${libraryName}: it is libvirt ${found}, older than ${needed}`, {
    hint: `install libvirt ${needed} or newer`,
  });
}

/** libvirt encodes a version as major * 1,000,000 + minor * 1,000 + release. */
export function versionText(version: number): string {
  return [Math.trunc(version / 1_000_000), Math.trunc(version / 1000) % 1000, version % 1000].join('.');
}

/** Without an error function libvirt prints every error on stderr; any harmless C function keeps it from doing so. */
function silence(library: Library): void {
  const setErrorFunc = library.func('void virSetErrorFunc(void *, void *)');
  setErrorFunc(null, library.symbol('virGetLastErrorCode'));
}

/** virError up to the last member that is read; the others hold its place. */
const VIR_ERROR = {
  code: 'int',
  domain: 'int',
  message: 'str',
  level: 'int',
  conn: 'void *',
  dom: 'void *',
  str1: 'void *',
  str2: 'void *',
  str3: 'void *',
  int1: 'int',
};

/** Declares functions with libvirt's recurring signatures. */
class Declarations {
  readonly #ffi: Koffi;
  readonly #library: Library;
  readonly #free: (pointer: bigint | null) => void;
  readonly #ownedString: ReturnType<Koffi['disposable']>;
  readonly #error: ReturnType<Koffi['struct']>;

  constructor(ffi: Koffi, library: Library) {
    this.#ffi = ffi;
    this.#library = library;
    // Through libvirt's handle, so that it is the same C library that allocated.
    this.#free = library.func('void free(void *)');
    this.#ownedString = ffi.disposable('str', this.#free);
    this.#error = ffi.struct(VIR_ERROR);
  }

  /** A function that only looks at memory. */
  local<F>(prototype: string): F {
    return this.#library.func(prototype) as F;
  }

  /** A function that may wait for the daemon. */
  remote<F>(prototype: string): F {
    return promised(this.#library.func(prototype)) as F;
  }

  /** A function whose result is a string that the caller owns. */
  text<F>(name: string, parameters: string[] = ['void *', 'uint']): F {
    return promised(this.#library.func(name, this.#ownedString, parameters)) as F;
  }

  /** A function that allocates an array of objects. */
  list<P, H>(name: string): List<P, H> {
    const array = this.#ffi.out(this.#ffi.pointer('void *'));
    const call = promised(this.#library.func(name, 'int', ['void *', array, 'uint']));
    return async (parent, flags) => {
      const result: [bigint | null] = [null];
      const count = (await call(parent, result, flags)) as number;
      if (count < 0) return null;
      try {
        return count === 0 ? [] : (this.#ffi.decode(result[0], 'void *', count) as H[]);
      } finally {
        this.#free(result[0]);
      }
    };
  }

  /** A function that writes a UUID as text, at most 37 bytes with the final zero. */
  uuid<H>(name: string): (object: H) => string {
    const call = this.#library.func(name, 'int', ['void *', 'void *']);
    const text = Buffer.alloc(37);
    return (object) => {
      call(object, text);
      return text.toString('latin1', 0, 36);
    };
  }

  /** A function that fills a structure. */
  info<H, I>(name: string, members: Record<string, string>): (object: H) => Promise<I | null> {
    const structure = this.#ffi.out(this.#ffi.pointer(this.#ffi.struct(members)));
    const call = promised(this.#library.func(name, 'int', ['void *', structure]));
    return async (object) => {
      const result = {} as I;
      return ((await call(object, result)) as number) < 0 ? null : result;
    };
  }

  /** A function that returns a pointer to a virError, which libvirt keeps. */
  error<A extends readonly unknown[]>(prototype: string): (...args: A) => NativeError | undefined {
    const call = this.#library.func(prototype);
    return (...args) => {
      const pointer = call(...args) as bigint | null;
      return pointer === null ? undefined : (this.#ffi.decode(pointer, this.#error) as NativeError);
    };
  }
}

/** Runs a function on a thread of its own; koffi keeps no reference to buffers, so `args` must outlive the call. */
function promised(native: NativeFunction): (...args: readonly unknown[]) => Promise<unknown> {
  return (...args) =>
    new Promise((resolve, reject) => {
      native.async(...args, (error: Error | null, result: unknown) => {
        if (error === null) resolve(result);
        else reject(error);
      });
    });
}

function connectFunctions(declare: Declarations): ConnectFunctions {
  return {
    connectOpen: declare.local('void *virConnectOpen(str)'),
    connectClose: declare.remote('int virConnectClose(void *)'),
    connectGetURI: declare.text('virConnectGetURI', ['void *']),
    connectGetHostname: declare.text('virConnectGetHostname', ['void *']),
    connectGetCapabilities: declare.text('virConnectGetCapabilities', ['void *']),
    lastError: declare.error('void *virGetLastError()'),
    connGetLastError: declare.error('void *virConnGetLastError(void *)'),
    connResetLastError: declare.local('void virConnResetLastError(void *)'),
  };
}

function poolFunctions(declare: Declarations): PoolFunctions {
  const space = { state: 'int', capacity: 'uint64', allocation: 'uint64', available: 'uint64' };
  return {
    connectListAllStoragePools: declare.list('virConnectListAllStoragePools'),
    storagePoolLookupByName: declare.remote('void *virStoragePoolLookupByName(void *, str)'),
    storagePoolLookupByVolume: declare.remote('void *virStoragePoolLookupByVolume(void *)'),
    storagePoolDefineXML: declare.remote('void *virStoragePoolDefineXML(void *, str, uint)'),
    storagePoolBuild: declare.remote('int virStoragePoolBuild(void *, uint)'),
    storagePoolCreate: declare.remote('int virStoragePoolCreate(void *, uint)'),
    storagePoolDestroy: declare.remote('int virStoragePoolDestroy(void *)'),
    storagePoolDelete: declare.remote('int virStoragePoolDelete(void *, uint)'),
    storagePoolUndefine: declare.remote('int virStoragePoolUndefine(void *)'),
    storagePoolRefresh: declare.remote('int virStoragePoolRefresh(void *, uint)'),
    storagePoolSetAutostart: declare.remote('int virStoragePoolSetAutostart(void *, int)'),
    storagePoolIsActive: declare.remote('int virStoragePoolIsActive(void *)'),
    storagePoolGetInfo: declare.info('virStoragePoolGetInfo', space),
    storagePoolGetXMLDesc: declare.text('virStoragePoolGetXMLDesc'),
    storagePoolNumOfVolumes: declare.remote('int virStoragePoolNumOfVolumes(void *)'),
    storagePoolListAllVolumes: declare.list('virStoragePoolListAllVolumes'),
    storagePoolGetName: declare.local('str virStoragePoolGetName(void *)'),
    storagePoolFree: declare.local('int virStoragePoolFree(void *)'),
  };
}

function volumeFunctions(declare: Declarations): VolumeFunctions {
  const info = { type: 'int', capacity: 'uint64', allocation: 'uint64' };
  return {
    storageVolLookupByName: declare.remote('void *virStorageVolLookupByName(void *, str)'),
    storageVolLookupByPath: declare.remote('void *virStorageVolLookupByPath(void *, str)'),
    storageVolLookupByKey: declare.remote('void *virStorageVolLookupByKey(void *, str)'),
    storageVolCreateXML: declare.remote('void *virStorageVolCreateXML(void *, str, uint)'),
    storageVolCreateXMLFrom: declare.remote('void *virStorageVolCreateXMLFrom(void *, str, void *, uint)'),
    storageVolResize: declare.remote('int virStorageVolResize(void *, uint64, uint)'),
    storageVolDelete: declare.remote('int virStorageVolDelete(void *, uint)'),
    storageVolGetInfo: declare.info('virStorageVolGetInfo', info),
    storageVolGetXMLDesc: declare.text('virStorageVolGetXMLDesc'),
    storageVolUpload: declare.remote('int virStorageVolUpload(void *, void *, uint64, uint64, uint)'),
    storageVolDownload: declare.remote('int virStorageVolDownload(void *, void *, uint64, uint64, uint)'),
    storageVolGetName: declare.local('str virStorageVolGetName(void *)'),
    storageVolGetKey: declare.local('str virStorageVolGetKey(void *)'),
    storageVolFree: declare.local('int virStorageVolFree(void *)'),
  };
}

function streamFunctions(declare: Declarations): StreamFunctions {
  return {
    streamNew: declare.remote('void *virStreamNew(void *, uint)'),
    streamSend: declare.remote('int virStreamSend(void *, void *, size_t)'),
    streamRecv: declare.remote('int virStreamRecv(void *, void *, size_t)'),
    streamFinish: declare.remote('int virStreamFinish(void *)'),
    streamAbort: declare.remote('int virStreamAbort(void *)'),
    streamFree: declare.local('int virStreamFree(void *)'),
  };
}

function domainFunctions(declare: Declarations): DomainFunctions {
  return {
    connectListAllDomains: declare.list('virConnectListAllDomains'),
    domainGetXMLDesc: declare.text('virDomainGetXMLDesc'),
    domainHasManagedSaveImage: declare.remote('int virDomainHasManagedSaveImage(void *, uint)'),
    domainManagedSaveGetXMLDesc: declare.text('virDomainManagedSaveGetXMLDesc'),
    domainBackupGetXMLDesc: declare.text('virDomainBackupGetXMLDesc'),
    domainListAllSnapshots: declare.list('virDomainListAllSnapshots'),
    domainListAllCheckpoints: declare.list('virDomainListAllCheckpoints'),
    domainGetID: declare.local('uint virDomainGetID(void *)'),
    domainGetName: declare.local('str virDomainGetName(void *)'),
    domainGetUUIDString: declare.uuid('virDomainGetUUIDString'),
    domainFree: declare.local('int virDomainFree(void *)'),
    domainSnapshotGetXMLDesc: declare.text('virDomainSnapshotGetXMLDesc'),
    domainSnapshotGetName: declare.local('str virDomainSnapshotGetName(void *)'),
    domainSnapshotFree: declare.local('int virDomainSnapshotFree(void *)'),
    domainCheckpointGetXMLDesc: declare.text('virDomainCheckpointGetXMLDesc'),
    domainCheckpointGetName: declare.local('str virDomainCheckpointGetName(void *)'),
    domainCheckpointFree: declare.local('int virDomainCheckpointFree(void *)'),
  };
}
