/** The name of the Erlang module below. */
export const RA_MODULE = "flotilla_ra";

/**
 * The closed loop of the comparison in Erlang, for ra: starts three members in this Erlang node, or in this one and two more,
 * keeps so many commands outstanding from a process in the node of the leader, and writes every latency of the time that
 * counts into a file, in µs. Its state machine is a map.
 *
 * Arguments: a folder, "one" or "three" nodes, "put" or "read", outstanding, bytes, and in ms the warm-up and the time that
 * counts.
 */
export const RA_PROGRAM = `
-module(${RA_MODULE}).
-behaviour(ra_machine).
-export([main/0, start_member/1, client/6, runtime/0, init/1, apply/3]).

init(_) -> #{}.

apply(_Meta, {put, Key, Value}, State) -> {State#{Key => Value}, ok}.

main() ->
    [Folder, Form, Operation | Numbers] = init:get_plain_arguments(),
    [Outstanding, Bytes, WarmMs, Ms] = [list_to_integer(Text) || Text <- Numbers],
    Nodes = nodes_of(Form, Folder),
    [ok = rpc(Node, start_member, [filename:join(Folder, atom_to_list(Node))]) || Node <- Nodes],
    Servers = case Nodes of
        [Node] -> [{Name, Node} || Name <- [m1, m2, m3]];
        _ -> [{m1, Node} || Node <- Nodes]
    end,
    {ok, _, []} = ra:start_cluster(default, flotilla, {module, ?MODULE, #{}}, Servers),
    {ok, _, {_, LeaderNode} = Leader} = ra:members(hd(Servers), 30000),
    {Times, Micros, Runtime} = rpc(LeaderNode, client,
        [Leader, list_to_atom(Operation), Outstanding, Bytes, WarmMs, {Ms, Nodes}]),
    ok = file:write_file(filename:join(Folder, "latencies"), [[integer_to_list(Time), $\\n] || Time <- Times]),
    io:format("done ~b ~b ~b~n", [length(Times), Micros, Runtime]),
    halt(0).

rpc(Node, Function, Arguments) when Node =:= node() -> erlang:apply(?MODULE, Function, Arguments);
rpc(Node, Function, Arguments) -> erpc:call(Node, ?MODULE, Function, Arguments).

nodes_of("one", _) -> [node()];
nodes_of("three", Folder) ->
    Paths = lists:append([["-pa", Path] || Path <- code:get_path(), not lists:prefix(code:root_dir(), Path), Path =/= "."]),
    Start = fun(Name) ->
        {ok, _, Node} = peer:start_link(#{name => Name, host => "localhost",
            args => Paths ++ ["-kernel", "logger_level", "error", "-setcookie", atom_to_list(erlang:get_cookie())]}),
        Node
    end,
    Unique = filename:basename(Folder),
    [node() | [Start(list_to_atom(Unique ++ Suffix)) || Suffix <- ["_b", "_c"]]].

start_member(Folder) ->
    ok = filelib:ensure_dir(filename:join(Folder, "x")),
    {ok, _} = ra:start_in(Folder),
    ok.

runtime() -> element(1, erlang:statistics(runtime)).

client(Leader, Operation, Outstanding, Bytes, WarmMs, {Ms, Nodes}) ->
    Value = binary:copy(<<"x">>, Bytes),
    Loaded = case Operation of put -> []; read -> lists:seq(1, 1000) end,
    [{ok, ok, _} = ra:process_command(Leader, {put, key(At), Value}, 30000) || At <- Loaded],
    Now = now_us(),
    From = Now + WarmMs * 1000,
    Until = From + Ms * 1000,
    Self = self(),
    Runtimes = fun() -> lists:sum([rpc(Node, runtime, []) || Node <- Nodes]) end,
    spawn_link(fun() ->
        timer:sleep(WarmMs), Before = Runtimes(), timer:sleep(Ms), Self ! {runtime, Runtimes() - Before}
    end),
    {Times, End} = case Operation of
        put -> puts(Leader, Outstanding, Value, From, Until);
        read -> reads(Leader, Outstanding, From, Until)
    end,
    Runtime = receive {runtime, Used} -> Used end,
    {Times, End - From, Runtime}.

now_us() -> erlang:monotonic_time(microsecond).

key(At) -> integer_to_binary(At rem 1000).

%% One process that keeps all outstanding, as ra's own clients do that want throughput.
puts(Leader, Outstanding, Value, From, Until) ->
    [put(Leader, At, Value) || At <- lists:seq(1, Outstanding)],
    collect(Leader, Value, From, Until, []).

put(Leader, At, Value) -> ra:pipeline_command(Leader, {put, key(At), Value}, {At, now_us()}, normal).

collect(Leader, Value, From, Until, Times) ->
    receive
        {ra_event, _, {applied, Applied}} ->
            Now = now_us(),
            [put(Leader, At + 31, Value) || {{At, _}, _} <- Applied],
            New = [Now - Sent || {{_, Sent}, _} <- Applied, Now >= From],
            %% Of no command at all nothing could be said.
            case {Now >= Until, New ++ Times} of
                {true, [_ | _] = All} -> {All, Now};
                {_, All} -> collect(Leader, Value, From, Until, All)
            end;
        {ra_event, _, {rejected, {not_leader, undefined, {At, _}}}} ->
            put(Leader, At, Value),
            collect(Leader, Value, From, Until, Times);
        {ra_event, _, {rejected, {not_leader, Other, {At, _}}}} ->
            put(Other, At, Value),
            collect(Other, Value, From, Until, Times)
    after 30000 -> exit(no_answer)
    end.

%% A process for each read that is outstanding: ra has no pipeline for these.
reads(Leader, Outstanding, From, Until) ->
    Self = self(),
    Readers = [spawn_link(fun() -> read(Leader, At, From, Until, Self, []) end) || At <- lists:seq(1, Outstanding)],
    Times = lists:append([receive {Reader, Own} -> Own end || Reader <- Readers]),
    {Times, now_us()}.

read(Leader, At, From, Until, Parent, Times) ->
    Sent = now_us(),
    Key = key(At),
    {ok, _, _} = ra:consistent_query(Leader, fun(State) -> maps:get(Key, State, undefined) end, 30000),
    Now = now_us(),
    New = if Now >= From -> [Now - Sent | Times]; true -> Times end,
    if Now >= Until, New =/= [] -> Parent ! {self(), New}; true -> read(Leader, At + 31, From, Until, Parent, New) end.
`;
