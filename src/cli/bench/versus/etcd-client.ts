import { CannotRun } from "../bench.ts";
import { ETCD_API, type RangeResponse, type StatusResponse } from "./etcd-api.ts";

/** A connection to one member. */
export interface EtcdClient {
  put(key: string, value: Uint8Array): Promise<void>;
  /** Linearizable. */
  get(key: string): Promise<Uint8Array | undefined>;
  status(): Promise<StatusResponse>;
  close(): void;
}

type Callback = (error: Error | null, response: unknown) => void;
type Stub = Readonly<Record<string, (request: object, callback: Callback) => void>> & { close(): void };

/** Makes connections. @throws CannotRun when the packages for gRPC are not there: they are no part of flotilla. */
export async function etcdClients(): Promise<(address: string) => EtcdClient> {
  const { grpc, loader } = await load();
  const api = ETCD_API as unknown as Parameters<typeof loader.fromJSON>[0];
  const definition = loader.fromJSON(api, { keepCase: true, longs: String, defaults: true });
  const { etcdserverpb } = grpc.loadPackageDefinition(definition) as unknown as {
    etcdserverpb: Record<"KV" | "Maintenance", new (address: string, credentials: unknown) => Stub>;
  };
  return (address) => {
    const credentials = grpc.credentials.createInsecure();
    const kv = new etcdserverpb.KV(address, credentials);
    const maintenance = new etcdserverpb.Maintenance(address, credentials);
    const call = <Response>(stub: Stub, method: string, request: object) =>
      new Promise<Response>((resolve, reject) => {
        if (stub[method] === undefined) throw new TypeError(`etcd's description has no method ${method}`);
        stub[method](request, (error, response) => (error === null ? resolve(response as Response) : reject(error)));
      });
    return {
      put: (key, value) => call(kv, "Put", { key: Buffer.from(key), value }),
      async get(key) {
        const { kvs } = await call<RangeResponse>(kv, "Range", { key: Buffer.from(key) });
        return kvs[0]?.value;
      },
      status: () => call(maintenance, "Status", {}),
      close() {
        kv.close();
        maintenance.close();
      },
    };
  };
}

async function load() {
  try {
    const [grpc, loader] = await Promise.all([import("@grpc/grpc-js"), import("@grpc/proto-loader")]);
    return { grpc, loader };
  } catch {
    throw new CannotRun("the packages @grpc/grpc-js and @grpc/proto-loader are not installed");
  }
}
