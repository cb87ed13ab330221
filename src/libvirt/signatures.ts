declare const kind: unique symbol;
/** The address of a libvirt object. It never leaves src/libvirt; who got it frees it. */
export type Handle<K extends string> = bigint & { readonly [kind]: K };
export type ConnectHandle = Handle<'virConnect'>;
export type PoolHandle = Handle<'virStoragePool'>;
export type VolumeHandle = Handle<'virStorageVol'>;
export type StreamHandle = Handle<'virStream'>;
export type DomainHandle = Handle<'virDomain'>;
export type SnapshotHandle = Handle<'virDomainSnapshot'>;
export type CheckpointHandle = Handle<'virDomainCheckpoint'>;

/** What libvirt keeps of a failure (virError in libvirt/virterror.h). */
export interface NativeError {
  readonly code: number;
  readonly domain: number;
  readonly message: string | null;
  /** The errno of a system error. */
  readonly int1: number;
}

/** virStoragePoolInfo; 64-bit numbers are bigint only where they have to be. */
export interface NativePoolInfo {
  readonly capacity: number | bigint;
  readonly allocation: number | bigint;
  readonly available: number | bigint;
}

/** virStorageVolInfo; `type` is a virStorageVolType. */
export interface NativeVolumeInfo {
  readonly type: number;
}

/** `null` is failure. */
export type List<P, H> = (parent: P, flags: number) => Promise<readonly H[] | null>;
type Find<P, H> = (parent: P, name: string) => Promise<H | null>;
type Create<P, H> = (parent: P, xml: string, flags: number) => Promise<H | null>;
type Describe<H> = (object: H, flags: number) => Promise<string | null>;
type Act<H> = (object: H, flags: number) => Promise<number>;
type Free<H> = (object: H) => number;
type Transfer = (
  ...args: [volume: VolumeHandle, stream: StreamHandle, offset: bigint, length: bigint, flags: number]
) => Promise<number>;

export interface ConnectFunctions {
  /** Blocks until connected; on failure `lastError` is right at once, because it is kept per thread. */
  connectOpen: (uri: string | null) => ConnectHandle | null;
  connectClose: (connection: ConnectHandle) => Promise<number>;
  connectGetURI: (connection: ConnectHandle) => Promise<string | null>;
  connectGetHostname: (connection: ConnectHandle) => Promise<string | null>;
  connectGetCapabilities: (connection: ConnectHandle) => Promise<string | null>;
  lastError: () => NativeError | undefined;
  connGetLastError: (connection: ConnectHandle) => NativeError | undefined;
  connResetLastError: (connection: ConnectHandle) => void;
}

export interface PoolFunctions {
  connectListAllStoragePools: List<ConnectHandle, PoolHandle>;
  storagePoolLookupByName: Find<ConnectHandle, PoolHandle>;
  storagePoolLookupByVolume: (volume: VolumeHandle) => Promise<PoolHandle | null>;
  storagePoolDefineXML: Create<ConnectHandle, PoolHandle>;
  storagePoolBuild: Act<PoolHandle>;
  storagePoolCreate: Act<PoolHandle>;
  storagePoolDestroy: (pool: PoolHandle) => Promise<number>;
  storagePoolUndefine: (pool: PoolHandle) => Promise<number>;
  storagePoolDelete: Act<PoolHandle>;
  storagePoolRefresh: Act<PoolHandle>;
  storagePoolSetAutostart: (pool: PoolHandle, autostart: number) => Promise<number>;
  storagePoolIsActive: (pool: PoolHandle) => Promise<number>;
  storagePoolGetInfo: (pool: PoolHandle) => Promise<NativePoolInfo | null>;
  storagePoolGetXMLDesc: Describe<PoolHandle>;
  storagePoolNumOfVolumes: (pool: PoolHandle) => Promise<number>;
  storagePoolListAllVolumes: List<PoolHandle, VolumeHandle>;
  storagePoolGetName: (pool: PoolHandle) => string;
  storagePoolFree: Free<PoolHandle>;
}

export interface VolumeFunctions {
  storageVolLookupByName: Find<PoolHandle, VolumeHandle>;
  storageVolLookupByPath: Find<ConnectHandle, VolumeHandle>;
  storageVolLookupByKey: Find<ConnectHandle, VolumeHandle>;
  storageVolCreateXML: Create<PoolHandle, VolumeHandle>;
  storageVolCreateXMLFrom: (
    pool: PoolHandle,
    xml: string,
    from: VolumeHandle,
    flags: number,
  ) => Promise<VolumeHandle | null>;
  storageVolResize: (volume: VolumeHandle, capacity: bigint, flags: number) => Promise<number>;
  storageVolDelete: Act<VolumeHandle>;
  storageVolGetInfo: (volume: VolumeHandle) => Promise<NativeVolumeInfo | null>;
  storageVolGetXMLDesc: Describe<VolumeHandle>;
  storageVolUpload: Transfer;
  storageVolDownload: Transfer;
  storageVolGetName: (volume: VolumeHandle) => string;
  storageVolGetKey: (volume: VolumeHandle) => string;
  storageVolFree: Free<VolumeHandle>;
}

export interface StreamFunctions {
  streamNew: (connection: ConnectHandle, flags: number) => Promise<StreamHandle | null>;
  streamSend: (stream: StreamHandle, bytes: Uint8Array, length: number) => Promise<number>;
  streamRecv: (stream: StreamHandle, bytes: Uint8Array, length: number) => Promise<number>;
  streamFinish: (stream: StreamHandle) => Promise<number>;
  streamAbort: (stream: StreamHandle) => Promise<number>;
  streamFree: Free<StreamHandle>;
}

export interface DomainFunctions {
  connectListAllDomains: List<ConnectHandle, DomainHandle>;
  domainGetXMLDesc: Describe<DomainHandle>;
  domainHasManagedSaveImage: Act<DomainHandle>;
  domainManagedSaveGetXMLDesc: Describe<DomainHandle>;
  domainBackupGetXMLDesc: Describe<DomainHandle>;
  domainListAllSnapshots: List<DomainHandle, SnapshotHandle>;
  domainListAllCheckpoints: List<DomainHandle, CheckpointHandle>;
  /** 2^32 - 1 when the domain is not active. */
  domainGetID: (domain: DomainHandle) => number;
  domainGetName: (domain: DomainHandle) => string;
  domainGetUUIDString: (domain: DomainHandle) => string;
  domainFree: Free<DomainHandle>;
  domainSnapshotGetXMLDesc: Describe<SnapshotHandle>;
  domainSnapshotGetName: (snapshot: SnapshotHandle) => string;
  domainSnapshotFree: Free<SnapshotHandle>;
  domainCheckpointGetXMLDesc: Describe<CheckpointHandle>;
  domainCheckpointGetName: (checkpoint: CheckpointHandle) => string;
  domainCheckpointFree: Free<CheckpointHandle>;
}

/**
 * The functions of libvirt.so.0 that poolkeeper uses, under libvirt's own names without `vir`. Those that return a
 * promise may wait for the daemon and run on a thread of their own; `null` or a negative number is failure. The others
 * only look at memory. Strings and arrays are copied and freed here; objects are freed by the caller.
 */
export interface Native extends ConnectFunctions, PoolFunctions, VolumeFunctions, StreamFunctions, DomainFunctions {}
