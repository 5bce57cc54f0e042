// SPDX-License-Identifier: MIT
//
// The workloads that make sense for a managed runtime, with the objects, the
// counts and the checks of bench/workloads/*.c. Called like those, with the
// workload first: bench-go WORKLOAD [SCALE [PARAMETER]].
package main

import (
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type node struct {
	left, right *node
}

// GCBench's node has two integers besides.
type node2 struct {
	left, right *node2
	i, j        int32
}

type dead struct {
	next   *dead
	values [3]uint64
}

type message [1024]byte

var (
	scale     = 1.0
	parameter = 0
	liveBytes uint64
	objects   uint64 // made in all, to show by their bytes that they were
)

// ---- Measuring, as in bench.h ----------------------------------------------

var (
	startTime, stopTime, lastTime time.Time
	startUsage, stopUsage         syscall.Rusage
	peakKib                       int
	stopMemory                    runtime.MemStats
	worst, operations             uint64
	latencies                     [64 << 5]uint64
)

func start() {
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &startUsage)
	startTime = time.Now()
}

func stop() {
	if !stopTime.IsZero() {
		return
	}
	stopTime = time.Now()
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &stopUsage)
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		if strings.HasPrefix(line, "VmHWM:") {
			peakKib, _ = strconv.Atoi(strings.Fields(line)[1])
		}
	}
	runtime.ReadMemStats(&stopMemory)
}

func bucket(ns uint64) int {
	if ns < 64 {
		return int(ns)
	}
	shift := bits.Len64(ns) - 1 - 5
	return shift<<5 + int(ns>>shift)
}

func bucketNs(bucket int) uint64 {
	shift := bucket >> 5
	if shift <= 1 {
		return uint64(bucket)
	}
	return uint64(bucket&31+32) << (shift - 1)
}

func tick() {
	now := time.Now()
	if !lastTime.IsZero() {
		ns := uint64(now.Sub(lastTime))
		latencies[bucket(ns)]++
		operations++
		if ns > worst {
			worst = ns
		}
	}
	lastTime = now
}

func percentileUs(fraction float64) float64 {
	wanted, seen := uint64(float64(operations)*fraction), uint64(0)
	for i, count := range latencies {
		seen += count
		if seen > wanted {
			return float64(bucketNs(i)) / 1e3
		}
	}
	return float64(worst) / 1e3
}

func digest(check, value uint64) uint64 {
	x := check*31 + value
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func scaled(count float64, least int) int {
	n := count * scale
	if n < float64(least) {
		return least
	}
	return int(n + 0.5)
}

// ---- Binary trees ------------------------------------------------------------

var longLived *node

func bottomUp(depth int) *node {
	if depth == 0 {
		return &node{}
	}
	return &node{bottomUp(depth - 1), bottomUp(depth - 1)}
}

func count(top *node) uint64 {
	if top.left == nil {
		return 1
	}
	return 1 + count(top.left) + count(top.right)
}

func binaryTrees() uint64 {
	maxDepth := parameter
	if maxDepth == 0 {
		maxDepth = 18
	}
	for s := scale; s < 0.75; s *= 2 {
		maxDepth--
	}
	for s := scale; s > 1.5; s /= 2 {
		maxDepth++
	}
	if maxDepth < 6 {
		maxDepth = 6
	}
	check := digest(0, count(bottomUp(maxDepth+1)))
	longLived = bottomUp(maxDepth)
	liveBytes = 16 << (maxDepth + 2)
	objects = 6 << maxDepth
	for depth := 4; depth <= maxDepth; depth += 2 {
		nodes := uint64(0)
		for i := 1 << (maxDepth - depth + 4); i > 0; i-- {
			nodes += count(bottomUp(depth))
		}
		check = digest(check, nodes)
		objects += nodes
	}
	return digest(check, count(longLived))
}

// ---- GCBench -----------------------------------------------------------------

var (
	longLived2 *node2
	array      []float64
)

func bottomUp2(depth int) *node2 {
	if depth == 0 {
		return &node2{}
	}
	return &node2{left: bottomUp2(depth - 1), right: bottomUp2(depth - 1)}
}

func populate(depth int, top *node2) {
	if depth == 0 {
		return
	}
	top.left = &node2{}
	top.right = &node2{}
	populate(depth-1, top.left)
	populate(depth-1, top.right)
}

func topDown(depth int) *node2 {
	top := &node2{}
	populate(depth, top)
	return top
}

func pathLength(top *node2, turns uint64) uint64 {
	length := uint64(0)
	for ; top != nil; turns, length = turns>>1, length+1 {
		if turns&1 != 0 {
			top = top.right
		} else {
			top = top.left
		}
	}
	return length
}

func timeDepth(depth int) uint64 {
	repeats := uint64(2 * ((2 << 18) - 1) / ((2 << depth) - 1))
	objects += 2 * repeats * ((2 << depth) - 1)
	check := uint64(0)
	for i := uint64(0); i < repeats; i++ {
		check += pathLength(topDown(depth), i)
	}
	for i := uint64(0); i < repeats; i++ {
		check += pathLength(bottomUp2(depth), i)
	}
	return check
}

func repetition() uint64 {
	check := digest(0, pathLength(bottomUp2(18), 0))
	objects += 2<<18 + 2<<16
	longLived2 = topDown(16)
	array = make([]float64, 500000)
	for i := 1; i < len(array); i++ {
		array[i] = 0
		if i < len(array)/2 {
			array[i] = 1.0 / float64(i)
		}
	}
	for depth := 4; depth <= 16; depth += 2 {
		check = digest(check, timeDepth(depth))
	}
	check = digest(check, pathLength(longLived2, 0x5555))
	check = digest(check, uint64(array[1000]*1e9))
	longLived2 = nil
	array = nil
	return check
}

func gcbench() uint64 {
	repeats := 6.0
	if parameter > 0 {
		repeats = float64(parameter)
	}
	check := uint64(0)
	liveBytes = 24 << 19
	for i := scaled(repeats, 1); i > 0; i-- {
		check = digest(check, repetition())
	}
	return check
}

// ---- Messages and dead objects -------------------------------------------------

func messages() uint64 {
	live, pushes := scaled(200e3, 100), scaled(2.2e6, 1100)
	ring := make([]*message, live)
	liveBytes = uint64(live) * (1024 + 8)
	objects = uint64(pushes)
	tick()
	for number := 0; number < pushes; number++ {
		m := new(message)
		for i := range m {
			m[i] = byte(number)
		}
		ring[number%live] = m
		tick()
	}
	stop()
	check := uint64(0)
	for _, m := range ring {
		sum := uint64(0)
		for _, b := range m {
			sum += uint64(b)
		}
		check = digest(check, sum)
	}
	return check
}

var sink *dead // what is stored here is really allocated

func deadObjects() uint64 {
	sum := uint64(0)
	liveBytes = 32
	for i, n := 0, scaled(93.75e6, 1); i < n; i++ {
		o := &dead{nil, [3]uint64{uint64(i), 1, 2}}
		sink = o
		sum += o.values[0] + o.values[1]
		objects++
	}
	return digest(0, sum)
}

func seconds(from, to syscall.Timeval) float64 {
	return float64(to.Sec-from.Sec) + float64(to.Usec-from.Usec)/1e6
}

func main() {
	works := map[string]func() uint64{"binary_trees": binaryTrees, "gcbench": gcbench,
		"messages": messages, "dead_objects": deadObjects}
	if len(os.Args) > 2 {
		scale, _ = strconv.ParseFloat(os.Args[2], 64)
	}
	if len(os.Args) > 3 {
		parameter, _ = strconv.Atoi(os.Args[3])
	}
	start()
	check := works[os.Args[1]]()
	stop()
	fmt.Printf("workload=%s scale=%g wall_s=%.6f user_s=%.6f sys_s=%.6f", os.Args[1], scale,
		stopTime.Sub(startTime).Seconds(), seconds(startUsage.Utime, stopUsage.Utime),
		seconds(startUsage.Stime, stopUsage.Stime))
	fmt.Printf(" peak_kib=%d live_kib=%d", peakKib, liveBytes/1024)
	if operations > 0 {
		fmt.Printf(" max_pause_us=%.3f p999_us=%.3f p50_us=%.3f", float64(worst)/1e3,
			percentileUs(0.999), percentileUs(0.5))
		fmt.Printf(" p90_us=%.3f p99_us=%.3f p9999_us=%.3f", percentileUs(0.9),
			percentileUs(0.99), percentileUs(0.9999))
	}
	fmt.Printf(" bytes_per_object=%.2f", float64(stopMemory.TotalAlloc)/float64(objects))
	fmt.Printf(" check=%016x\n", check)
}
