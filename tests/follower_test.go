package tests

import (
	"fmt"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

// follower is a reader and a writer that go on while the keys change.
type follower struct {
	entries       int
	stop          chan struct{}
	reads, writes chan outcome
}

// outcome is what one of them did.
type outcome struct {
	calls   int
	longest time.Duration // that one call took
	err     error
}

func (o outcome) String() string { return fmt.Sprintf("%d %d", o.calls, o.longest.Microseconds()) }

// follow starts both. Each entry of fill keeps the value of its number.
func follow(reg *registry.Registry, entries int) follower {
	f := follower{entries: entries, stop: make(chan struct{}), reads: make(chan outcome, 1), writes: make(chan outcome, 1)}
	go f.loop(f.reads, func(i int) error {
		n, err := registry.Get[int](background, reg, numberKey(i))
		if err == nil && n != i {
			err = fmt.Errorf("%s holds %d", numberKey(i), n)
		}
		return err
	})
	go f.loop(f.writes, func(i int) error {
		_, err := reg.SetConfig(background, numberKey(i), i)
		return err
	})
	return f
}

// stride is from one entry to the next that is called for, so that they are all over the file.
const stride = 7919

func (f follower) loop(done chan<- outcome, call func(i int) error) {
	var o outcome
	for o.err == nil {
		select {
		case <-f.stop:
			done <- o
			return
		default:
		}
		began := time.Now()
		o.err = call(o.calls * stride % f.entries)
		o.calls++
		o.longest = max(o.longest, time.Since(began))
	}
	done <- o
}

// end stops both, and says what they did.
func (f follower) end() (reads, writes outcome, err error) {
	close(f.stop)
	reads, writes = <-f.reads, <-f.writes
	if reads.err != nil {
		return reads, writes, fmt.Errorf("read: %w", reads.err)
	}
	if writes.err != nil {
		return reads, writes, fmt.Errorf("write: %w", writes.err)
	}
	return reads, writes, nil
}

// roleFollow follows until it is told to stop. Any error ends it.
func roleFollow(args []string) error {
	var entries int
	if _, err := fmt.Sscan(args[1], &entries); err != nil {
		return err
	}
	reg, err := openKEK1(background, args[0])
	if err != nil {
		return err
	}
	f := follow(reg, entries)
	saying("ready")
	hearing().Scan()
	reads, writes, err := f.end()
	if err != nil {
		return err
	}
	saying(reads.String(), writes.String())
	return reg.Close()
}

// ended tells a child that follows to stop, and gives what it did.
func ended(c *child) (reads, writes outcome, err error) {
	c.say("stop")
	var microseconds [2]int64
	_, err = fmt.Sscan(c.hear(), &reads.calls, &microseconds[0], &writes.calls, &microseconds[1])
	reads.longest, writes.longest = time.Duration(microseconds[0])*time.Microsecond, time.Duration(microseconds[1])*time.Microsecond
	c.wait()
	return reads, writes, err
}
