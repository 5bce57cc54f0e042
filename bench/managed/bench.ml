(* SPDX-License-Identifier: MIT

   The workloads that make sense for a managed runtime, with the objects, the
   counts and the checks of bench/workloads/*.c. Called like those, with the
   workload first: bench-ocaml WORKLOAD [SCALE [PARAMETER]].

   Fields are mutable where the customary sources' are not: an immutable leaf
   would be a constant, and never be allocated. *)

type node = Nil | Node of { mutable left : node; mutable right : node }

type node2 =
  | Nil2
  | Node2 of {
      mutable left : node2;
      mutable right : node2;
      mutable i : int;
      mutable j : int;
    }

type dead = {
  mutable next : dead option;
  mutable a : int;
  mutable b : int;
  mutable c : int;
}

let argument n default = if Array.length Sys.argv > n then Sys.argv.(n) else default
let workload = argument 1 ""
let scale = float_of_string (argument 2 "1")
let parameter = int_of_string (argument 3 "0")
let live_bytes = ref 0
let objects = ref 0 (* made in all, to show by their bytes that they were *)

(* ---- Measuring, as in bench.h ------------------------------------------- *)

external now : unit -> (int[@untagged]) = "bench_now_boxed" "bench_now" [@@noalloc]

let start_ns = ref 0
let stop_ns = ref 0
let start_times = ref (Unix.times ())
let stop_times = ref !start_times
let peak_kib = ref 0
let allocated = ref 0.
let last_ns = ref 0
let worst_ns = ref 0
let operations = ref 0
let latencies = Array.make (64 lsl 5) 0

let read_peak () =
  let file = open_in "/proc/self/status" in
  (try
     while true do
       let line = input_line file in
       if String.length line > 6 && String.sub line 0 6 = "VmHWM:" then
         Scanf.sscanf line "VmHWM: %d" (fun kib -> peak_kib := kib)
     done
   with End_of_file -> ());
  close_in file

let start () =
  start_times := Unix.times ();
  start_ns := now ()

let stop () =
  if !stop_ns = 0 then begin
    stop_ns := now ();
    stop_times := Unix.times ();
    allocated := Gc.allocated_bytes ();
    read_peak ()
  end

let rec log2 n = if n < 2 then 0 else 1 + log2 (n lsr 1)

let bucket ns =
  if ns < 64 then ns
  else
    let shift = log2 ns - 5 in
    (shift lsl 5) + (ns lsr shift)

let bucket_ns bucket =
  let shift = bucket lsr 5 in
  if shift <= 1 then bucket else ((bucket land 31) + 32) lsl (shift - 1)

let tick () =
  let now = now () in
  if !last_ns <> 0 then begin
    let ns = now - !last_ns in
    let at = bucket ns in
    latencies.(at) <- latencies.(at) + 1;
    incr operations;
    if ns > !worst_ns then worst_ns := ns
  end;
  last_ns := now

let percentile_us fraction =
  let wanted = int_of_float (float_of_int !operations *. fraction) in
  let rec find i seen =
    if i = Array.length latencies then !worst_ns
    else
      let seen = seen + latencies.(i) in
      if seen > wanted then bucket_ns i else find (i + 1) seen
  in
  float_of_int (find 0 0) /. 1e3

let digest check value =
  let open Int64 in
  let step x shift factor = mul (logxor x (shift_right_logical x shift)) factor in
  let x = add (mul check 31L) value in
  let x = step x 30 0xbf58476d1ce4e5b9L in
  let x = step x 27 0x94d049bb133111ebL in
  logxor x (shift_right_logical x 31)

let digest_int check value = digest check (Int64.of_int value)

let scaled count least =
  let n = count *. scale in
  if n < float_of_int least then least else int_of_float (n +. 0.5)

(* ---- Binary trees --------------------------------------------------------- *)

let rec bottom_up depth =
  if depth = 0 then Node { left = Nil; right = Nil }
  else
    let left = bottom_up (depth - 1) in
    let right = bottom_up (depth - 1) in
    Node { left; right }

let rec count = function Nil -> 0 | Node n -> 1 + count n.left + count n.right
let long_lived = ref Nil

let rec depth_at scale depth =
  if scale < 0.75 then depth_at (scale *. 2.) (depth - 1)
  else if scale > 1.5 then depth_at (scale /. 2.) (depth + 1)
  else depth

let binary_trees () =
  let max_depth = max 6 (depth_at scale (if parameter > 0 then parameter else 18)) in
  let check = ref (digest_int 0L (count (bottom_up (max_depth + 1)))) in
  long_lived := bottom_up max_depth;
  live_bytes := 16 lsl (max_depth + 2);
  objects := 6 lsl max_depth;
  let depth = ref 4 in
  while !depth <= max_depth do
    let nodes = ref 0 in
    for _ = 1 to 1 lsl (max_depth - !depth + 4) do
      nodes := !nodes + count (bottom_up !depth)
    done;
    check := digest_int !check !nodes;
    objects := !objects + !nodes;
    depth := !depth + 2
  done;
  digest_int !check (count !long_lived)

(* ---- GCBench -------------------------------------------------------------- *)

let long_lived2 = ref Nil2
let array = ref [||]
let new_node2 left right = Node2 { left; right; i = 0; j = 0 }

let rec bottom_up2 depth =
  if depth = 0 then new_node2 Nil2 Nil2
  else
    let left = bottom_up2 (depth - 1) in
    let right = bottom_up2 (depth - 1) in
    new_node2 left right

let rec populate depth top =
  match top with
  | Node2 n when depth > 0 ->
      n.left <- new_node2 Nil2 Nil2;
      n.right <- new_node2 Nil2 Nil2;
      populate (depth - 1) n.left;
      populate (depth - 1) n.right
  | _ -> ()

let top_down depth =
  let top = new_node2 Nil2 Nil2 in
  populate depth top;
  top

let path_length top turns =
  let rec walk top turns length =
    match top with
    | Nil2 -> length
    | Node2 n -> walk (if turns land 1 <> 0 then n.right else n.left) (turns lsr 1) (length + 1)
  in
  walk top turns 0

let time_depth depth =
  let repeats = 2 * ((2 lsl 18) - 1) / ((2 lsl depth) - 1) in
  objects := !objects + (2 * repeats * ((2 lsl depth) - 1));
  let check = ref 0 in
  for i = 0 to repeats - 1 do
    check := !check + path_length (top_down depth) i
  done;
  for i = 0 to repeats - 1 do
    check := !check + path_length (bottom_up2 depth) i
  done;
  !check

let repetition () =
  let check = ref (digest_int 0L (path_length (bottom_up2 18) 0)) in
  objects := !objects + (2 lsl 18) + (2 lsl 16);
  long_lived2 := top_down 16;
  let length = 500000 in
  array := Array.make length 0.;
  for i = 1 to length - 1 do
    !array.(i) <- (if i < length / 2 then 1. /. float_of_int i else 0.)
  done;
  for half = 2 to 8 do
    check := digest_int !check (time_depth (2 * half))
  done;
  check := digest_int !check (path_length !long_lived2 0x5555);
  check := digest_int !check (int_of_float (!array.(1000) *. 1e9));
  long_lived2 := Nil2;
  array := [||];
  !check

let gcbench () =
  let check = ref 0L in
  live_bytes := 24 lsl 19;
  for _ = 1 to scaled (float_of_int (if parameter > 0 then parameter else 6)) 1 do
    check := digest !check (repetition ())
  done;
  !check

(* ---- Messages and dead objects ---------------------------------------------- *)

let sum_of_message m =
  let sum = ref 0 in
  for i = 0 to Bytes.length m - 1 do
    sum := !sum + Char.code (Bytes.unsafe_get m i)
  done;
  !sum

let messages () =
  let live = scaled 200e3 100 and pushes = scaled 2.2e6 1100 in
  let ring = Array.make live Bytes.empty in
  live_bytes := live * (1024 + 8);
  objects := pushes;
  tick ();
  for number = 0 to pushes - 1 do
    ring.(number mod live) <- Bytes.make 1024 (Char.unsafe_chr (number land 0xff));
    tick ()
  done;
  stop ();
  Array.fold_left (fun check m -> digest_int check (sum_of_message m)) 0L ring

let dead_objects () =
  let sum = ref 0 in
  live_bytes := 32;
  objects := scaled 93.75e6 1;
  for i = 0 to !objects - 1 do
    let o = Sys.opaque_identity { next = None; a = i; b = 1; c = 2 } in
    sum := !sum + o.a + o.b
  done;
  digest_int 0L !sum

let work () =
  match workload with
  | "binary_trees" -> binary_trees ()
  | "gcbench" -> gcbench ()
  | "messages" -> messages ()
  | "dead_objects" -> dead_objects ()
  | _ -> failwith ("no workload " ^ workload)

let () =
  start ();
  let check = work () in
  stop ();
  Printf.printf "workload=%s scale=%g wall_s=%.6f user_s=%.6f sys_s=%.6f" workload scale
    (float_of_int (!stop_ns - !start_ns) /. 1e9)
    (!stop_times.tms_utime -. !start_times.tms_utime)
    (!stop_times.tms_stime -. !start_times.tms_stime);
  Printf.printf " peak_kib=%d live_kib=%d" !peak_kib (!live_bytes / 1024);
  if !operations > 0 then
    Printf.printf
      " max_pause_us=%.3f p999_us=%.3f p50_us=%.3f p90_us=%.3f p99_us=%.3f p9999_us=%.3f"
      (float_of_int !worst_ns /. 1e3)
      (percentile_us 0.999) (percentile_us 0.5) (percentile_us 0.9) (percentile_us 0.99)
      (percentile_us 0.9999);
  Printf.printf " bytes_per_object=%.2f" (!allocated /. float_of_int !objects);
  Printf.printf " check=%016Lx\n" check
