// SPDX-License-Identifier: MIT
//
// The workloads that make sense for a managed runtime, with the objects, the
// counts and the checks of bench/workloads/*.c. Called like those, with the
// workload first: java Bench WORKLOAD [SCALE [PARAMETER]].

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Paths;

public final class Bench {
    static final class Node {
        Node left, right;

        Node(Node left, Node right) {
            this.left = left;
            this.right = right;
        }
    }

    /** GCBench's node has two integers besides. */
    static final class Node2 {
        Node2 left, right;
        int i, j;

        Node2(Node2 left, Node2 right) {
            this.left = left;
            this.right = right;
        }
    }

    static final class Dead {
        Dead next;
        long a, b, c;
    }

    static double scale = 1;
    static int parameter = 0;
    static long liveBytes;
    static long objects; // made in all, to show by their bytes that they were

    // ---- Measuring, as in bench.h ------------------------------------------

    static long startNs, stopNs, peakKib, allocated, lastNs, worstNs, operations;
    static long[] startTicks, stopTicks;
    static final long[] latencies = new long[64 << 5];

    static String procLine(String file, String key) {
        try {
            for (String line : Files.readAllLines(Paths.get(file)))
                if (line.startsWith(key)) return line;
        } catch (IOException e) {
            throw new RuntimeException(e);
        }
        return "";
    }

    /** User and system time of the process in ticks of 10 ms. */
    static long[] ticks() {
        String line = procLine("/proc/self/stat", "");
        String[] fields = line.substring(line.lastIndexOf(')') + 2).split(" ");
        return new long[] {Long.parseLong(fields[11]), Long.parseLong(fields[12])};
    }

    static void start() {
        startTicks = ticks();
        startNs = System.nanoTime();
    }

    static void stop() {
        if (stopNs != 0) return;
        stopNs = System.nanoTime();
        stopTicks = ticks();
        peakKib = Long.parseLong(procLine("/proc/self/status", "VmHWM").replaceAll("\\D", ""));
        allocated = ((com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean())
            .getThreadAllocatedBytes(Thread.currentThread().getId());
    }

    static int bucket(long ns) {
        if (ns < 64) return (int) ns;
        int shift = 63 - Long.numberOfLeadingZeros(ns) - 5;
        return (shift << 5) + (int) (ns >> shift);
    }

    static long bucketNs(int bucket) {
        int shift = bucket >> 5;
        return shift <= 1 ? bucket : (long) ((bucket & 31) + 32) << (shift - 1);
    }

    static void tick() {
        long now = System.nanoTime();
        if (lastNs != 0) {
            latencies[bucket(now - lastNs)]++;
            operations++;
            worstNs = Math.max(worstNs, now - lastNs);
        }
        lastNs = now;
    }

    static double percentileUs(double fraction) {
        long wanted = (long) (operations * fraction), seen = 0;
        for (int i = 0; i < latencies.length; i++) {
            seen += latencies[i];
            if (seen > wanted) return bucketNs(i) / 1e3;
        }
        return worstNs / 1e3;
    }

    static long digest(long check, long value) {
        long x = check * 31 + value;
        x = (x ^ (x >>> 30)) * 0xbf58476d1ce4e5b9L;
        x = (x ^ (x >>> 27)) * 0x94d049bb133111ebL;
        return x ^ (x >>> 31);
    }

    static long scaled(double count, long least) {
        double n = count * scale;
        return n < least ? least : (long) (n + 0.5);
    }

    // ---- Binary trees --------------------------------------------------------

    static Node longLived;

    static Node bottomUp(int depth) {
        return depth == 0 ? new Node(null, null)
                          : new Node(bottomUp(depth - 1), bottomUp(depth - 1));
    }

    static long count(Node top) {
        return top.left == null ? 1 : 1 + count(top.left) + count(top.right);
    }

    static long binaryTrees() {
        int maxDepth = parameter > 0 ? parameter : 18;
        for (double s = scale; s < 0.75; s *= 2) maxDepth--;
        for (double s = scale; s > 1.5; s /= 2) maxDepth++;
        maxDepth = Math.max(maxDepth, 6);
        long check = digest(0, count(bottomUp(maxDepth + 1)));
        longLived = bottomUp(maxDepth);
        liveBytes = 16L << (maxDepth + 2);
        objects = 6L << maxDepth;
        for (int depth = 4; depth <= maxDepth; depth += 2) {
            long nodes = 0;
            for (long i = 1L << (maxDepth - depth + 4); i > 0; i--) nodes += count(bottomUp(depth));
            check = digest(check, nodes);
            objects += nodes;
        }
        return digest(check, count(longLived));
    }

    // ---- GCBench -------------------------------------------------------------

    static Node2 longLived2;
    static double[] array;

    static Node2 bottomUp2(int depth) {
        return depth == 0 ? new Node2(null, null)
                          : new Node2(bottomUp2(depth - 1), bottomUp2(depth - 1));
    }

    static void populate(int depth, Node2 top) {
        if (depth == 0) return;
        top.left = new Node2(null, null);
        top.right = new Node2(null, null);
        populate(depth - 1, top.left);
        populate(depth - 1, top.right);
    }

    static Node2 topDown(int depth) {
        Node2 top = new Node2(null, null);
        populate(depth, top);
        return top;
    }

    static long pathLength(Node2 top, long turns) {
        long length = 0;
        for (; top != null; turns >>>= 1, length++) top = (turns & 1) != 0 ? top.right : top.left;
        return length;
    }

    static long timeDepth(int depth) {
        long repeats = 2 * ((2L << 18) - 1) / ((2L << depth) - 1);
        long check = 0;
        objects += 2 * repeats * ((2L << depth) - 1);
        for (long i = 0; i < repeats; i++) check += pathLength(topDown(depth), i);
        for (long i = 0; i < repeats; i++) check += pathLength(bottomUp2(depth), i);
        return check;
    }

    static long repetition() {
        long check = digest(0, pathLength(bottomUp2(18), 0));
        objects += (2L << 18) + (2L << 16);
        longLived2 = topDown(16);
        array = new double[500000];
        for (int i = 1; i < array.length; i++) array[i] = i < array.length / 2 ? 1.0 / i : 0;
        for (int depth = 4; depth <= 16; depth += 2) check = digest(check, timeDepth(depth));
        check = digest(check, pathLength(longLived2, 0x5555));
        check = digest(check, (long) (array[1000] * 1e9));
        longLived2 = null;
        array = null;
        return check;
    }

    static long gcbench() {
        long repeats = scaled(parameter > 0 ? parameter : 6, 1), check = 0;
        liveBytes = 24L << 19;
        for (long i = 0; i < repeats; i++) check = digest(check, repetition());
        return check;
    }

    // ---- Messages and dead objects -------------------------------------------

    static long messages() {
        int live = (int) scaled(200e3, 100);
        long pushes = scaled(2.2e6, 1100), check = 0;
        byte[][] ring = new byte[live][];
        liveBytes = live * (1024L + 8);
        objects = pushes;
        tick();
        for (long number = 0; number < pushes; number++) {
            byte[] m = new byte[1024];
            java.util.Arrays.fill(m, (byte) number);
            ring[(int) (number % live)] = m;
            tick();
        }
        stop();
        for (byte[] m : ring) {
            long sum = 0;
            for (byte b : m) sum += b & 0xff;
            check = digest(check, sum);
        }
        return check;
    }

    // Kept for a moment each, or the compiler would not allocate them at all.
    static final Dead[] sink = new Dead[64];

    static long deadObjects() {
        long count = scaled(93.75e6, 1), sum = 0;
        liveBytes = 32;
        objects = count;
        for (long i = 0; i < count; i++) {
            Dead o = new Dead();
            o.a = i;
            o.b = 1;
            o.c = 2;
            sink[(int) i & 63] = o;
            sum += o.a + o.b;
        }
        return digest(0, sum);
    }

    static long work(String workload) {
        switch (workload) {
            case "binary_trees": return binaryTrees();
            case "gcbench": return gcbench();
            case "messages": return messages();
            case "dead_objects": return deadObjects();
            default: throw new IllegalArgumentException(workload);
        }
    }

    public static void main(String[] args) {
        if (args.length > 1) scale = Double.parseDouble(args[1]);
        if (args.length > 2) parameter = Integer.parseInt(args[2]);
        start();
        long check = work(args[0]);
        stop();
        System.out.printf("workload=%s scale=%s wall_s=%.6f user_s=%.6f sys_s=%.6f", args[0],
            scale, (stopNs - startNs) / 1e9, (stopTicks[0] - startTicks[0]) / 100.0,
            (stopTicks[1] - startTicks[1]) / 100.0);
        System.out.printf(" peak_kib=%d live_kib=%d", peakKib, liveBytes / 1024);
        if (operations > 0)
            System.out.printf(
                " max_pause_us=%.3f p999_us=%.3f p50_us=%.3f p90_us=%.3f p99_us=%.3f p9999_us=%.3f",
                worstNs / 1e3, percentileUs(0.999), percentileUs(0.5), percentileUs(0.9),
                percentileUs(0.99), percentileUs(0.9999));
        System.out.printf(" bytes_per_object=%.2f", (double) allocated / objects);
        System.out.printf(" check=%016x%n", check);
    }
}
