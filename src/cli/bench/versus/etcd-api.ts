/** The part of etcd's public gRPC API that is used here, by its field numbers, as protobufjs takes it. */
export const ETCD_API = {
  nested: {
    etcdserverpb: {
      nested: {
        ResponseHeader: {
          fields: {
            cluster_id: { type: "uint64", id: 1 },
            member_id: { type: "uint64", id: 2 },
            revision: { type: "int64", id: 3 },
            raft_term: { type: "uint64", id: 4 },
          },
        },
        KeyValue: {
          fields: {
            key: { type: "bytes", id: 1 },
            create_revision: { type: "int64", id: 2 },
            mod_revision: { type: "int64", id: 3 },
            version: { type: "int64", id: 4 },
            value: { type: "bytes", id: 5 },
          },
        },
        PutRequest: { fields: { key: { type: "bytes", id: 1 }, value: { type: "bytes", id: 2 } } },
        PutResponse: { fields: { header: { type: "ResponseHeader", id: 1 } } },
        // "serializable" is left out, so reads are linearizable.
        RangeRequest: { fields: { key: { type: "bytes", id: 1 } } },
        RangeResponse: {
          fields: {
            header: { type: "ResponseHeader", id: 1 },
            kvs: { rule: "repeated", type: "KeyValue", id: 2 },
            count: { type: "int64", id: 4 },
          },
        },
        StatusRequest: { fields: {} },
        StatusResponse: {
          fields: {
            header: { type: "ResponseHeader", id: 1 },
            version: { type: "string", id: 2 },
            leader: { type: "uint64", id: 4 },
          },
        },
        KV: {
          methods: {
            Range: { requestType: "RangeRequest", responseType: "RangeResponse" },
            Put: { requestType: "PutRequest", responseType: "PutResponse" },
          },
        },
        Maintenance: { methods: { Status: { requestType: "StatusRequest", responseType: "StatusResponse" } } },
      },
    },
  },
} as const;

export interface StatusResponse {
  readonly header: { readonly member_id: string };
  readonly leader: string;
  readonly version: string;
}

export interface RangeResponse {
  readonly kvs: readonly { readonly value: Uint8Array }[];
}
