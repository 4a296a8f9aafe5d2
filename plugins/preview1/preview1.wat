;; WASI preview 1 for plugins whose compiler cannot do without it (Go, C with its standard library), made of nothing: no file, no
;; environment, no argument, and a clock and random numbers that are the same in each run. What is written to the standard output
;; goes to dockbell's log. The numbers answered are preview 1's errors: 0 is success, 8 is `badf`, no such file descriptor.
;;
;; It allocates nothing and has no data: it is called before the plugin's own allocator is ready.
(module
  (import "env" "memory" (memory 0))
  (import "dockbell:plugin/logging@0.1.0" "log" (func $log (param i32 i32 i32)))

  ;; Nanoseconds; each look moves it on by a microsecond, a sleep to its end, so that whoever waits for it gets there.
  (global $clock (mut i64) (i64.const 1000000000000))
  (global $random (mut i64) (i64.const 0x9e3779b97f4a7c15))

  (func $none (param $count i32) (param $bytes i32) (result i32)
    (i32.store (local.get $count) (i32.const 0))
    (i32.store (local.get $bytes) (i32.const 0))
    (i32.const 0))
  (export "args_sizes_get" (func $none))
  (export "environ_sizes_get" (func $none))
  (func (export "args_get") (param i32 i32) (result i32) (i32.const 0))
  (func (export "environ_get") (param i32 i32) (result i32) (i32.const 0))

  (func (export "clock_res_get") (param $clock i32) (param $answer i32) (result i32)
    (i64.store (local.get $answer) (i64.const 1000))
    (i32.const 0))
  (func (export "clock_time_get") (param $clock i32) (param $precision i64) (param $answer i32) (result i32)
    (global.set $clock (i64.add (global.get $clock) (i64.const 1000)))
    (i64.store (local.get $answer) (global.get $clock))
    (i32.const 0))

  ;; xorshift64 (Marsaglia 2003), a byte of each number.
  (func (export "random_get") (param $at i32) (param $bytes i32) (result i32)
    (local $end i32) (local $x i64)
    (local.set $end (i32.add (local.get $at) (local.get $bytes)))
    (local.set $x (global.get $random))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 13))))
        (local.set $x (i64.xor (local.get $x) (i64.shr_u (local.get $x) (i64.const 7))))
        (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 17))))
        (i64.store8 (local.get $at) (local.get $x))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (global.set $random (local.get $x))
    (i32.const 0))

  ;; The three standard streams are character devices with all rights.
  (func (export "fd_fdstat_get") (param $fd i32) (param $answer i32) (result i32)
    (if (i32.gt_u (local.get $fd) (i32.const 2)) (then (return (i32.const 8))))
    (i64.store (local.get $answer) (i64.const 2))
    (i64.store offset=8 (local.get $answer) (i64.const -1))
    (i64.store offset=16 (local.get $answer) (i64.const -1))
    (i32.const 0))

  ;; Each buffer is a line of the log: a warning (3) where it went to the standard error output, else information (2).
  (func (export "fd_write") (param $fd i32) (param $buffers i32) (param $count i32) (param $written i32) (result i32)
    (local $all i32) (local $bytes i32)
    (if (i32.gt_u (i32.sub (local.get $fd) (i32.const 1)) (i32.const 1)) (then (return (i32.const 8))))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (local.set $bytes (i32.load offset=4 (local.get $buffers)))
        (local.set $all (i32.add (local.get $all) (local.get $bytes)))
        ;; A line break alone says nothing.
        (if (i32.gt_u (local.get $bytes) (i32.const 1))
          (then (call $log
            (i32.add (local.get $fd) (i32.const 1)) (i32.load (local.get $buffers)) (local.get $bytes))))
        (local.set $buffers (i32.add (local.get $buffers) (i32.const 8)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $written) (local.get $all))
    (i32.const 0))

  ;; Every subscription (48 bytes) is over at once: a clock (kind 0) is moved on, anything else is no such descriptor.
  (func (export "poll_oneoff") (param $from i32) (param $to i32) (param $count i32) (param $answer i32) (result i32)
    (i32.store (local.get $answer) (local.get $count))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        (i64.store (local.get $to) (i64.load (local.get $from)))
        (i64.store offset=8 (local.get $to) (i64.const 0))
        (i64.store offset=16 (local.get $to) (i64.const 0))
        (i64.store offset=24 (local.get $to) (i64.const 0))
        (i32.store8 offset=10 (local.get $to) (i32.load8_u offset=8 (local.get $from)))
        (if (i32.load8_u offset=8 (local.get $from))
          (then (i32.store16 offset=8 (local.get $to) (i32.const 8)))
          (else (if (i32.and (i32.load16_u offset=40 (local.get $from)) (i32.const 1))
            ;; Flag 1: the time at which, else the time after which.
            (then (if (i64.gt_u (i64.load offset=24 (local.get $from)) (global.get $clock))
              (then (global.set $clock (i64.load offset=24 (local.get $from))))))
            (else (global.set $clock (i64.add (global.get $clock) (i64.load offset=24 (local.get $from))))))))
        (local.set $from (i32.add (local.get $from) (i32.const 48)))
        (local.set $to (i32.add (local.get $to) (i32.const 32)))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.const 0))

  (func (export "sched_yield") (result i32) (i32.const 0))
  (func (export "proc_exit") (param i32) unreachable)
  (func (export "proc_raise") (param i32) (result i32) unreachable)

  ;; The rest wants a file or a socket, and there is none.
  (func (export "fd_advise") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_allocate") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_close") (param i32) (result i32) (i32.const 8))
  (func (export "fd_datasync") (param i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_flags") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_fdstat_set_rights") (param i32 i64 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_size") (param i32 i64) (result i32) (i32.const 8))
  (func (export "fd_filestat_set_times") (param i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_pread") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_get") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_prestat_dir_name") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_pwrite") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_read") (param i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_readdir") (param i32 i32 i32 i64 i32) (result i32) (i32.const 8))
  (func (export "fd_renumber") (param i32 i32) (result i32) (i32.const 8))
  (func (export "fd_seek") (param i32 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "fd_sync") (param i32) (result i32) (i32.const 8))
  (func (export "fd_tell") (param i32 i32) (result i32) (i32.const 8))
  (func (export "path_create_directory") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_filestat_get") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_filestat_set_times") (param i32 i32 i32 i32 i64 i64 i32) (result i32) (i32.const 8))
  (func (export "path_link") (param i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_open") (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32) (i32.const 8))
  (func (export "path_readlink") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_remove_directory") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_rename") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_symlink") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "path_unlink_file") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_accept") (param i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_recv") (param i32 i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_send") (param i32 i32 i32 i32 i32) (result i32) (i32.const 8))
  (func (export "sock_shutdown") (param i32 i32) (result i32) (i32.const 8)))
