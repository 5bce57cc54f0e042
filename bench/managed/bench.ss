;; SPDX-License-Identifier: MIT
;;
;; The workloads that make sense for a managed runtime, with the objects, the
;; counts and the checks of bench/workloads/*.c. Called like those, with the
;; workload first: scheme --program bench.so WORKLOAD [SCALE [PARAMETER]].
(import (chezscheme))

(define arguments (command-line-arguments))

(define (argument n default)
  (if (> (length arguments) n) (list-ref arguments n) default))

(define workload (argument 0 ""))
(define scale (exact->inexact (string->number (argument 1 "1"))))
(define parameter (string->number (argument 2 "0")))
(define live-bytes 0)
(define objects 0) ; made in all, to show by their bytes that they were

;; ---- Measuring, as in bench.h -------------------------------------------------

(load-shared-object "libc.so.6")
(define clock-gettime (foreign-procedure "clock_gettime" (int u8*) int))
(define timespec (make-bytevector 16))

(define (now)
  (clock-gettime 1 timespec) ; 1: CLOCK_MONOTONIC
  (fx+ (fx* (bytevector-s64-native-ref timespec 0) 1000000000)
       (bytevector-s64-native-ref timespec 8)))

(define start-ns 0)
(define stop-ns 0)
(define start-ticks '(0 0))
(define stop-ticks '(0 0))
(define peak-kib 0)
(define allocated 0)
(define last-ns 0)
(define worst-ns 0)
(define operations 0)
(define latencies (make-fxvector (fxsll 64 5) 0))

(define (numbers-in line)
  (let loop ([chars (string->list line)] [digits '()] [found '()])
    (define (flush)
      (if (null? digits)
          found
          (cons (string->number (list->string (reverse digits))) found)))
    (cond
      [(null? chars) (reverse (flush))]
      [(char-numeric? (car chars)) (loop (cdr chars) (cons (car chars) digits) found)]
      [else (loop (cdr chars) '() (flush))])))

(define (lines-of path)
  (call-with-input-file path
    (lambda (port)
      (let loop ([line (get-line port)] [lines '()])
        (if (eof-object? line) (reverse lines) (loop (get-line port) (cons line lines)))))))

;; User and system time of the process in ticks of 10 ms: fields 14 and 15,
;; counted behind the program's name, which may hold anything.
(define (ticks)
  (let* ([line (car (lines-of "/proc/self/stat"))]
         [end (let loop ([i (- (string-length line) 1)])
                (if (char=? (string-ref line i) #\)) i (loop (- i 1))))]
         [fields (list-tail (numbers-in (substring line end (string-length line))) 10)])
    (list (car fields) (cadr fields))))

(define (read-peak)
  (for-each
    (lambda (line)
      (when (and (> (string-length line) 6) (string=? (substring line 0 6) "VmHWM:"))
        (set! peak-kib (car (numbers-in line)))))
    (lines-of "/proc/self/status")))

(define (allocated-so-far) (+ (bytes-allocated) (bytes-deallocated)))

(define (start)
  (set! allocated (- (allocated-so-far)))
  (set! start-ticks (ticks))
  (set! start-ns (now)))

(define (stop)
  (when (= stop-ns 0)
    (set! stop-ns (now))
    (set! allocated (+ allocated (allocated-so-far)))
    (set! stop-ticks (ticks))
    (read-peak)))

(define (bucket ns)
  (if (fx< ns 64)
      ns
      (let ([shift (fx- (fxlength ns) 6)])
        (fx+ (fxsll shift 5) (fxsrl ns shift)))))

(define (bucket-ns bucket)
  (let ([shift (fxsrl bucket 5)])
    (if (fx<= shift 1)
        bucket
        (fxsll (fx+ (fxand bucket 31) 32) (fx- shift 1)))))

(define (tick)
  (let ([this (now)])
    (unless (fx= last-ns 0)
      (let* ([ns (fx- this last-ns)] [at (bucket ns)])
        (fxvector-set! latencies at (fx+ 1 (fxvector-ref latencies at)))
        (set! operations (fx+ operations 1))
        (when (fx> ns worst-ns) (set! worst-ns ns))))
    (set! last-ns this)))

(define (percentile-us fraction)
  (let ([wanted (exact (floor (* operations fraction)))])
    (let loop ([i 0] [seen 0])
      (if (= i (fxvector-length latencies))
          (/ worst-ns 1e3)
          (let ([seen (+ seen (fxvector-ref latencies i))])
            (if (> seen wanted) (/ (bucket-ns i) 1e3) (loop (+ i 1) seen)))))))

(define (digest check value)
  (define (low64 x) (logand x #xffffffffffffffff))
  (define (step x shift factor) (low64 (* (logxor x (ash x (- shift))) factor)))
  (let* ([x (low64 (+ (* check 31) value))]
         [x (step x 30 #xbf58476d1ce4e5b9)]
         [x (step x 27 #x94d049bb133111eb)])
    (logxor x (ash x -31))))

(define (scaled count least)
  (let ([n (* count scale)])
    (if (< n least) least (exact (floor (+ n 0.5))))))

;; ---- Binary trees ----------------------------------------------------------------

(define-record-type node (fields (mutable left) (mutable right)) (sealed #t))

(define long-lived #f)

(define (bottom-up depth)
  (if (fx= depth 0)
      (make-node #f #f)
      (let* ([left (bottom-up (fx- depth 1))] [right (bottom-up (fx- depth 1))])
        (make-node left right))))

(define (count top)
  (if (node-left top)
      (fx+ 1 (count (node-left top)) (count (node-right top)))
      1))

(define (depth-at scale depth)
  (cond
    [(< scale 0.75) (depth-at (* scale 2) (- depth 1))]
    [(> scale 1.5) (depth-at (/ scale 2) (+ depth 1))]
    [else depth]))

(define (binary-trees)
  (let* ([max-depth (max 6 (depth-at scale (if (> parameter 0) parameter 18)))]
         [check (digest 0 (count (bottom-up (+ max-depth 1))))])
    (set! long-lived (bottom-up max-depth))
    (set! live-bytes (ash 16 (+ max-depth 2)))
    (set! objects (ash 6 max-depth))
    (let by-depth ([depth 4] [check check])
      (if (> depth max-depth)
          (digest check (count long-lived))
          (let repeat ([i (ash 1 (+ (- max-depth depth) 4))] [nodes 0])
            (if (fx= i 0)
                (begin
                  (set! objects (+ objects nodes))
                  (by-depth (+ depth 2) (digest check nodes)))
                (repeat (fx- i 1) (fx+ nodes (count (bottom-up depth))))))))))

;; ---- GCBench ---------------------------------------------------------------------

(define-record-type node2
  (fields (mutable left) (mutable right) (mutable i) (mutable j))
  (sealed #t))

(define long-lived2 #f)
(define array #f)

(define (bottom-up2 depth)
  (if (fx= depth 0)
      (make-node2 #f #f 0 0)
      (let* ([left (bottom-up2 (fx- depth 1))] [right (bottom-up2 (fx- depth 1))])
        (make-node2 left right 0 0))))

(define (populate depth top)
  (unless (fx= depth 0)
    (node2-left-set! top (make-node2 #f #f 0 0))
    (node2-right-set! top (make-node2 #f #f 0 0))
    (populate (fx- depth 1) (node2-left top))
    (populate (fx- depth 1) (node2-right top))))

(define (top-down depth)
  (let ([top (make-node2 #f #f 0 0)])
    (populate depth top)
    top))

(define (path-length top turns)
  (let loop ([top top] [turns turns] [length 0])
    (if top
        (loop (if (fxodd? turns) (node2-right top) (node2-left top))
              (fxsrl turns 1)
              (fx+ length 1))
        length)))

(define (time-depth depth)
  (let ([repeats (quotient (* 2 (- (ash 2 18) 1)) (- (ash 2 depth) 1))])
    (define (build make)
      (let loop ([i 0] [check 0])
        (if (fx= i repeats) check (loop (fx+ i 1) (fx+ check (path-length (make depth) i))))))
    (set! objects (+ objects (* 2 repeats (- (ash 2 depth) 1))))
    (let* ([down (build top-down)] [up (build bottom-up2)])
      (+ down up))))

(define (fill-array length)
  (set! array (make-bytevector (* 8 length) 0)) ; this version has no flvectors
  (do ([i 1 (fx+ i 1)]) ((fx= i length))
    (bytevector-ieee-double-native-set! array (fx* 8 i)
      (if (fx< i (fxquotient length 2)) (fl/ 1.0 (fixnum->flonum i)) 0.0))))

(define (repetition)
  (let ([check (digest 0 (path-length (bottom-up2 18) 0))])
    (set! objects (+ objects (ash 2 18) (ash 2 16)))
    (set! long-lived2 (top-down 16))
    (fill-array 500000)
    (do ([depth 4 (+ depth 2)]) ((> depth 16))
      (set! check (digest check (time-depth depth))))
    (set! check (digest check (path-length long-lived2 #x5555)))
    (set! check (digest check (exact (truncate (* (bytevector-ieee-double-native-ref array 8000) 1e9)))))
    (set! long-lived2 #f)
    (set! array #f)
    check))

(define (gcbench)
  (set! live-bytes (ash 24 19))
  (let loop ([i (scaled (if (> parameter 0) parameter 6) 1)] [check 0])
    (if (= i 0) check (loop (- i 1) (digest check (repetition))))))

;; ---- Messages and dead objects ---------------------------------------------------

(define (sum-of-message m)
  (let loop ([i 0] [sum 0])
    (if (fx= i 1024) sum (loop (fx+ i 1) (fx+ sum (bytevector-u8-ref m i))))))

(define (messages)
  (let* ([live (scaled 200e3 100)] [pushes (scaled 2.2e6 1100)] [ring (make-vector live #f)])
    (set! live-bytes (* live (+ 1024 8)))
    (set! objects pushes)
    (tick)
    (do ([number 0 (fx+ number 1)]) ((fx= number pushes))
      (vector-set! ring (fxmodulo number live) (make-bytevector 1024 (fxand number 255)))
      (tick))
    (stop)
    (let loop ([i 0] [check 0])
      (if (= i live)
          check
          (loop (+ i 1) (digest check (sum-of-message (vector-ref ring i))))))))

(define-record-type dead
  (fields (mutable next) (mutable a) (mutable b) (mutable c))
  (sealed #t))

;; Called through a variable that is assigned, so that it stays a call and the
;; object has to be there.
(define sum-of-dead (lambda (o) 0))
(set! sum-of-dead (lambda (o) (fx+ (dead-a o) (dead-b o))))

(define (dead-objects)
  (set! live-bytes 32)
  (let ([count (scaled 93.75e6 1)])
    (set! objects count)
    (let loop ([i 0] [sum 0])
      (if (fx= i count)
          (digest 0 sum)
          (loop (fx+ i 1) (fx+ sum (sum-of-dead (make-dead #f i 1 2))))))))

(define (work)
  (case (string->symbol workload)
    [(binary_trees) (binary-trees)]
    [(gcbench) (gcbench)]
    [(messages) (messages)]
    [(dead_objects) (dead-objects)]
    [else (error 'bench "no such workload" workload)]))

(define (hex16 n)
  (let ([digits (string-downcase (number->string n 16))])
    (string-append (make-string (- 16 (string-length digits)) #\0) digits)))

(let ([check (begin (start) (work))])
  (stop)
  (printf "workload=~a scale=~a wall_s=~,6f user_s=~,2f sys_s=~,2f" workload scale
    (/ (- stop-ns start-ns) 1e9)
    (/ (- (car stop-ticks) (car start-ticks)) 100.0)
    (/ (- (cadr stop-ticks) (cadr start-ticks)) 100.0))
  (printf " peak_kib=~a live_kib=~a" peak-kib (quotient live-bytes 1024))
  (when (> operations 0)
    (printf " max_pause_us=~,3f p999_us=~,3f p50_us=~,3f p90_us=~,3f p99_us=~,3f p9999_us=~,3f"
      (/ worst-ns 1e3) (percentile-us 0.999) (percentile-us 0.5) (percentile-us 0.9)
      (percentile-us 0.99) (percentile-us 0.9999)))
  (printf " bytes_per_object=~,2f" (/ allocated objects 1.0))
  (printf " check=~a\n" (hex16 check)))
