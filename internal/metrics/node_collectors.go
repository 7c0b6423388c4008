package metrics

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/runnerbean/runnerbean/api"
)

// slots collects the slots of this node.
type slots struct{ read func() (total, busy int) }

var (
	slotsDesc = desc("slots", "Programs that this node can run at once.")
	busyDesc  = desc("slots_busy", "Slots of this node that run a program.")
	idleDesc  = desc("slots_idle", "Slots of this node that wait for work.")
)

// Describe implements [prometheus.Collector].
func (s slots) Describe(ch chan<- *prometheus.Desc) { ch <- slotsDesc; ch <- busyDesc; ch <- idleDesc }

// Collect implements [prometheus.Collector].
func (s slots) Collect(ch chan<- prometheus.Metric) {
	total, busy := s.read()
	gauge(ch, slotsDesc, float64(total))
	gauge(ch, busyDesc, float64(busy))
	gauge(ch, idleDesc, float64(max(0, total-busy)))
}

// Cache is the figures of the copies that a node keeps of objects of a bucket.
type Cache struct {
	Hits, Misses int64 // reads of a copy, and of the bucket
	Bytes        int64 // of all copies
}

// cache collects them.
type cache struct{ read func() Cache }

var (
	cacheHitsDesc   = desc("cache_hits_total", "Reads of results and files of a bucket that a copy answered.")
	cacheMissesDesc = desc("cache_misses_total", "Reads of results and files that the bucket answered.")
	cacheBytesDesc  = desc("cache_bytes", "Bytes of the copies of results and files of a bucket.")
)

// Describe implements [prometheus.Collector].
func (c cache) Describe(ch chan<- *prometheus.Desc) {
	ch <- cacheHitsDesc
	ch <- cacheMissesDesc
	ch <- cacheBytesDesc
}

// Collect implements [prometheus.Collector].
func (c cache) Collect(ch chan<- prometheus.Metric) {
	now := c.read()
	ch <- prometheus.MustNewConstMetric(cacheHitsDesc, prometheus.CounterValue, float64(now.Hits))
	ch <- prometheus.MustNewConstMetric(cacheMissesDesc, prometheus.CounterValue, float64(now.Misses))
	gauge(ch, cacheBytesDesc, float64(now.Bytes))
}

// disks collects the file systems that this node writes to.
type disks struct{ read func() []api.Disk }

var (
	diskFreeDesc  = desc("disk_free_bytes", "Room on the file system, for this user.", "use")
	diskSizeDesc  = desc("disk_size_bytes", "Size of the file system.", "use")
	diskFloorDesc = desc("disk_floor_bytes", "Room below which no work is taken.", "use")

	diskReusableDesc = desc("disk_reusable_bytes", "Room inside the ledger's file, where it is on the file system.", "use")
)

// Describe implements [prometheus.Collector].
func (d disks) Describe(ch chan<- *prometheus.Desc) {
	ch <- diskFreeDesc
	ch <- diskReusableDesc
	ch <- diskSizeDesc
	ch <- diskFloorDesc
}

// Collect implements [prometheus.Collector].
func (d disks) Collect(ch chan<- prometheus.Metric) {
	seen := map[string]bool{}
	for _, disk := range d.read() {
		if seen[disk.Use] {
			continue
		}
		seen[disk.Use] = true
		gauge(ch, diskFreeDesc, float64(disk.Free), disk.Use)
		gauge(ch, diskReusableDesc, float64(disk.Reusable), disk.Use)
		if disk.Total > 0 {
			gauge(ch, diskSizeDesc, float64(disk.Total), disk.Use)
		}
		gauge(ch, diskFloorDesc, float64(disk.Floor), disk.Use)
	}
}

// servers collects the state of the beanstalkd servers.
type servers struct {
	read func(context.Context) []api.Server
}

var (
	serverUpDesc      = desc("beanstalkd_up", "Whether the beanstalkd server answers this node.", "server")
	serverMessageDesc = desc("beanstalkd_messages", "Messages in this system's tubes on the server: ready, reserved, delayed, buried.", "server", "state")
	serverOverdueDesc = desc("beanstalkd_overdue_messages", "Messages that are held for longer than they may be, among those looked at.", "server")
	serverMemoryDesc  = desc("beanstalkd_memory_bytes", "Memory of the server's process, where it runs on this machine.", "server")
	serverOrphanDesc  = desc("beanstalkd_orphaned_messages", "Messages on the inboxes of nodes that do not exist or are not up.", "server")
	serverDrainDesc   = desc("beanstalkd_draining", "Whether the server takes no more messages.", "server")
)

// Describe implements [prometheus.Collector].
func (s servers) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{serverUpDesc, serverMessageDesc, serverOverdueDesc, serverOrphanDesc, serverMemoryDesc, serverDrainDesc} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (s servers) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readLimit)
	defer cancel()
	seen := map[string]bool{}
	for _, server := range s.read(ctx) {
		if seen[server.Addr] {
			continue
		}
		seen[server.Addr] = true
		gauge(ch, serverUpDesc, truth(server.OK), server.Addr)
		if server.OK {
			collectServer(ch, server)
		}
	}
}

func collectServer(ch chan<- prometheus.Metric, s api.Server) {
	for state, n := range map[string]int64{"ready": s.Ready, "reserved": s.Reserved, "delayed": s.Delayed, "buried": s.Buried} {
		gauge(ch, serverMessageDesc, float64(n), s.Addr, state)
	}
	gauge(ch, serverOverdueDesc, float64(s.Overdue), s.Addr)
	orphaned := int64(0)
	for _, o := range s.Orphaned {
		orphaned += o.Messages
	}
	gauge(ch, serverOrphanDesc, float64(orphaned), s.Addr)
	gauge(ch, serverDrainDesc, truth(s.Draining), s.Addr)
	if s.Memory > 0 {
		gauge(ch, serverMemoryDesc, float64(s.Memory), s.Addr)
	}
}
