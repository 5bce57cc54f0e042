;;; SPDX-License-Identifier: MIT
;;;
;;; The workloads that make sense for a managed runtime, with the objects, the
;;; counts and the checks of bench/workloads/*.c. Called like those, with the
;;; workload first: sbcl --script bench.fasl WORKLOAD [SCALE [PARAMETER]].

(declaim (optimize (speed 3) (safety 0) (debug 0))
         (sb-ext:muffle-conditions sb-ext:compiler-note))

(defun argument (n default)
  (or (nth n (member-if-not (lambda (a) (or (search "sbcl" a) (search "--" a) (search ".fasl" a)))
                            sb-ext:*posix-argv*))
      default))

(defun parse-number (text)
  (let ((*read-default-float-format* 'double-float))
    (coerce (the real (read-from-string text)) 'double-float)))

(defvar *workload* (argument 0 ""))
(defvar *scale* (parse-number (argument 1 "1")))
(defvar *parameter* (parse-integer (argument 2 "0")))
(defvar *live-bytes* 0)
(defvar *objects* 0) ; made in all, to show by their bytes that they were
(defvar *allocated* 0)
(declaim (double-float *scale*) (fixnum *parameter* *live-bytes* *objects*))

;;; ---- Measuring, as in bench.h -------------------------------------------------

(declaim (fixnum *start-ns* *stop-ns* *last-ns* *worst-ns* *operations*))
(defvar *start-ns* 0)
(defvar *stop-ns* 0)
(defvar *start-usage* '(0 0))
(defvar *stop-usage* '(0 0))
(defvar *peak-kib* 0)
(defvar *last-ns* 0)
(defvar *worst-ns* 0)
(defvar *operations* 0)
(defvar *latencies* (make-array (ash 64 5) :element-type 'fixnum :initial-element 0))
(declaim (type (simple-array fixnum (*)) *latencies*))

(declaim (ftype (function () fixnum) now))
(defun now ()
  (multiple-value-bind (seconds ns) (sb-unix::clock-gettime 1) ; 1: CLOCK_MONOTONIC
    (declare (fixnum seconds ns))
    (the fixnum (+ (the fixnum (* seconds 1000000000)) ns))))

(defun usage ()
  (multiple-value-bind (ok user sys) (sb-unix:unix-getrusage sb-unix:rusage_self)
    (declare (ignore ok))
    (list user sys)))

(defun read-peak ()
  (with-open-file (file "/proc/self/status" :external-format :latin-1)
    (loop for line = (read-line file nil)
          while line
          when (and (> (length (the simple-string line)) 6)
                    (string= "VmHWM:" (subseq line 0 6)))
            do (setf *peak-kib* (parse-integer line :start 6 :junk-allowed t)))))

(defun start ()
  (setf *allocated* (- (sb-ext:get-bytes-consed))
        *start-usage* (usage)
        *start-ns* (now)))

(defun stop ()
  (when (zerop *stop-ns*)
    (setf *stop-ns* (now)
          *stop-usage* (usage)
          *allocated* (+ *allocated* (sb-ext:get-bytes-consed)))
    (read-peak)))

(defun bucket (ns)
  (declare (type (unsigned-byte 61) ns))
  (if (< ns 64)
      ns
      (let ((shift (- (integer-length ns) 6)))
        (+ (ash shift 5) (ash ns (- shift))))))

(defun bucket-ns (bucket)
  (declare (fixnum bucket))
  (let ((shift (ash bucket -5)))
    (if (<= shift 1)
        bucket
        (ash (+ (logand bucket 31) 32) (the (integer 0 60) (- shift 1))))))

(defun tick ()
  (let ((now (now)))
    (declare (fixnum now))
    (unless (zerop *last-ns*)
      (let* ((ns (- now *last-ns*)) (at (bucket ns)))
        (declare (fixnum ns at))
        (incf (aref *latencies* at))
        (incf *operations*)
        (when (> ns *worst-ns*) (setf *worst-ns* ns))))
    (setf *last-ns* now)))

(defun percentile-us (fraction)
  (declare (double-float fraction))
  (let ((wanted (floor (* *operations* fraction))) (seen 0))
    (declare (fixnum wanted seen))
    (dotimes (i (length *latencies*) (/ *worst-ns* 1d3))
      (incf seen (aref *latencies* i))
      (when (> seen wanted) (return (/ (the fixnum (bucket-ns i)) 1d3))))))

(defun digest (check value)
  (declare (type (unsigned-byte 64) check value))
  (flet ((low64 (x) (ldb (byte 64 0) x)))
    (let ((x (low64 (+ (* check 31) value))))
      (setf x (low64 (* (logxor x (ash x -30)) #xbf58476d1ce4e5b9))
            x (low64 (* (logxor x (ash x -27)) #x94d049bb133111eb)))
      (logxor x (ash x -31)))))

(declaim (ftype (function (double-float fixnum) fixnum) scaled))
(defun scaled (count least)
  (let ((n (* count *scale*)))
    (declare (type (double-float 0d0 1d15) n))
    (if (< n least) least (values (floor (+ n 0.5d0))))))

;;; ---- Binary trees ----------------------------------------------------------------

(defstruct (node (:constructor make-node (left right)))
  (left nil :type (or null node))
  (right nil :type (or null node)))

(sb-ext:defglobal *long-lived* nil)

(declaim (ftype (function (fixnum) node) bottom-up) (ftype (function (node) fixnum) count-nodes))
(defun bottom-up (depth)
  (if (zerop depth)
      (make-node nil nil)
      (make-node (bottom-up (1- depth)) (bottom-up (1- depth)))))

(defun count-nodes (top)
  (if (null (node-left top))
      1
      (the fixnum (+ 1 (count-nodes (node-left top)) (count-nodes (node-right top))))))

(defun binary-trees ()
  (let ((max-depth (if (plusp *parameter*) *parameter* 18)) (check 0))
    (declare (type (integer 0 40) max-depth))
    (loop for s of-type double-float = *scale* then (* s 2) while (< s 0.75d0)
          do (decf max-depth))
    (loop for s of-type double-float = *scale* then (/ s 2) while (> s 1.5d0)
          do (incf max-depth))
    (setf max-depth (max max-depth 6)
          check (digest 0 (count-nodes (bottom-up (1+ max-depth))))
          *long-lived* (bottom-up max-depth)
          *live-bytes* (ash 16 (+ max-depth 2))
          *objects* (ash 6 max-depth))
    (loop for depth of-type fixnum from 4 to max-depth by 2
          do (let ((nodes 0))
               (declare (fixnum nodes))
               (loop repeat (ash 1 (the (integer 0 60) (+ (- max-depth depth) 4)))
                     do (incf nodes (count-nodes (bottom-up depth))))
               (incf *objects* nodes)
               (setf check (digest check nodes))))
    (digest check (count-nodes *long-lived*))))

;;; ---- GCBench ---------------------------------------------------------------------

(defstruct (node2 (:constructor make-node2 (left right)))
  (left nil :type (or null node2))
  (right nil :type (or null node2))
  (i 0 :type (signed-byte 32))
  (j 0 :type (signed-byte 32)))

(sb-ext:defglobal *long-lived2* nil)
(sb-ext:defglobal *array* nil)

(declaim (ftype (function (fixnum) node2) bottom-up2 top-down))
(defun bottom-up2 (depth)
  (if (zerop depth)
      (make-node2 nil nil)
      (make-node2 (bottom-up2 (1- depth)) (bottom-up2 (1- depth)))))

(defun populate (depth top)
  (declare (fixnum depth) (type node2 top))
  (unless (zerop depth)
    (setf (node2-left top) (make-node2 nil nil)
          (node2-right top) (make-node2 nil nil))
    (populate (1- depth) (node2-left top))
    (populate (1- depth) (node2-right top))))

(defun top-down (depth)
  (let ((top (make-node2 nil nil)))
    (populate depth top)
    top))

(declaim (ftype (function (t fixnum) fixnum) path-length))
(defun path-length (top turns)
  (let ((length 0))
    (declare (fixnum length))
    (loop while top
          do (setf top (if (oddp turns) (node2-right top) (node2-left top))
                   turns (ash turns -1))
             (incf length))
    length))

(defun time-depth (depth)
  (declare (type (integer 0 40) depth))
  (let ((repeats (floor (* 2 (1- (ash 2 18))) (1- (ash 2 depth)))) (check 0))
    (declare (fixnum repeats check))
    (incf *objects* (the fixnum (* 2 repeats (1- (ash 2 depth)))))
    (dotimes (i repeats) (incf check (path-length (top-down depth) i)))
    (dotimes (i repeats) (incf check (path-length (bottom-up2 depth) i)))
    check))

(defun new-array (length)
  (declare (fixnum length))
  (let ((array (make-array length :element-type 'double-float :initial-element 0d0)))
    (loop for i of-type fixnum from 1 below length
          do (setf (aref array i) (if (< i (floor length 2)) (/ 1d0 i) 0d0)))
    array))

(defun repetition ()
  (let ((check (digest 0 (path-length (bottom-up2 18) 0))))
    (incf *objects* (+ (ash 2 18) (ash 2 16)))
    (setf *long-lived2* (top-down 16)
          *array* (new-array 500000))
    (loop for depth from 4 to 16 by 2 do (setf check (digest check (time-depth depth))))
    (setf check (digest check (path-length *long-lived2* #x5555))
          check (digest check (truncate (* (aref (the (simple-array double-float (*)) *array*) 1000)
                                           1d9)))
          *long-lived2* nil
          *array* nil)
    check))

(defun gcbench ()
  (let ((check 0))
    (setf *live-bytes* (ash 24 19))
    (loop repeat (scaled (coerce (if (plusp *parameter*) *parameter* 6) 'double-float) 1)
          do (setf check (digest check (repetition))))
    check))

;;; ---- Messages and dead objects ---------------------------------------------------

(deftype message () '(simple-array (unsigned-byte 8) (1024)))

(defun sum-of-message (m)
  (declare (type message m))
  (let ((sum 0))
    (declare (fixnum sum))
    (dotimes (i 1024 sum) (incf sum (aref m i)))))

(defun new-message (number)
  (declare (fixnum number))
  (let ((m (make-array 1024 :element-type '(unsigned-byte 8))))
    (fill m (logand number 255))
    m))

(defun messages ()
  (let* ((live (scaled 200d3 100))
         (pushes (scaled 2.2d6 1100))
         (ring (make-array live :initial-element nil))
         (check 0))
    (declare (fixnum live pushes))
    (setf *live-bytes* (* live (+ 1024 8))
          *objects* pushes)
    (tick)
    (dotimes (number pushes)
      (setf (svref ring (mod number live)) (new-message number))
      (tick))
    (stop)
    (dotimes (i live check)
      (setf check (digest check (sum-of-message (svref ring i)))))))

(defstruct (dead (:constructor make-dead (next a b c)))
  next
  (a 0 :type fixnum)
  (b 0 :type fixnum)
  (c 0 :type fixnum))

(sb-ext:defglobal *sink* nil) ; what is stored here is really allocated

(defun dead-objects ()
  (let ((sum 0))
    (declare (fixnum sum))
    (setf *live-bytes* 32
          *objects* (scaled 93.75d6 1))
    (dotimes (i *objects* (digest 0 sum))
      (let ((o (make-dead nil i 1 2)))
        (setf *sink* o)
        (incf sum (+ (dead-a o) (dead-b o)))))))

(defun work ()
  (cond ((string= *workload* "binary_trees") (binary-trees))
        ((string= *workload* "gcbench") (gcbench))
        ((string= *workload* "messages") (messages))
        ((string= *workload* "dead_objects") (dead-objects))
        (t (error "no workload ~a" *workload*))))

(let ((check (progn (start) (work))))
  (stop)
  (format t "workload=~a scale=~f wall_s=~,6f user_s=~,6f sys_s=~,6f" *workload* *scale*
          (/ (- *stop-ns* *start-ns*) 1d9)
          (/ (- (the fixnum (first *stop-usage*)) (the fixnum (first *start-usage*))) 1d6)
          (/ (- (the fixnum (second *stop-usage*)) (the fixnum (second *start-usage*))) 1d6))
  (format t " peak_kib=~d live_kib=~d" *peak-kib* (floor *live-bytes* 1024))
  (when (plusp *operations*)
    (format t " max_pause_us=~,3f p999_us=~,3f p50_us=~,3f p90_us=~,3f p99_us=~,3f p9999_us=~,3f"
            (/ *worst-ns* 1d3) (percentile-us 0.999d0) (percentile-us 0.5d0) (percentile-us 0.9d0)
            (percentile-us 0.99d0) (percentile-us 0.9999d0)))
  (format t " bytes_per_object=~,2f" (/ *allocated* *objects* 1d0))
  (format t " check=~(~16,'0x~)~%" check))
