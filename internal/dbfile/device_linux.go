package dbfile

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mountDevice returns the device of the file system that holds the file at path, as /proc/locks names it: "fe:00". It returns "" if
// that is not known, or if the file's number is another one by now. (The device that stat gives is a subvolume's on btrfs, and may be
// a layer's on overlayfs. Locks, and mounts, are listed with that of the whole file system.)
func mountDevice(path string, number uint64) string {
	var stat unix.Statx_t
	const flags = unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
	err := unix.Statx(unix.AT_FDCWD, path, flags, unix.STATX_INO|unix.STATX_MNT_ID, &stat)
	if err != nil || stat.Mask&unix.STATX_MNT_ID == 0 || stat.Ino != number { // before Linux 5.8 mounts were not told
		return ""
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	return deviceOf(string(mounts), strconv.FormatUint(stat.Mnt_id, 10))
}

// deviceOf returns the device of a mount by its id, from the text of mountinfo, or "" if the mount is not listed.
func deviceOf(mounts, id string) string {
	// A line is "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw", with the device in decimal numbers.
	for line := range strings.Lines(mounts) {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[0] != id {
			continue
		}
		var major, minor uint32
		if _, err := fmt.Sscanf(fields[2], "%d:%d", &major, &minor); err != nil {
			return ""
		}
		return fmt.Sprintf("%02x:%02x", major, minor)
	}
	return ""
}
