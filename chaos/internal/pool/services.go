package pool

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// VersitygwVariable names the binary of the S3 server.
const VersitygwVariable = "CHAOS_VERSITYGW"

const (
	store  = "store"
	bucket = "results"
	lease  = "5s"
	// balancerConfig is the example that the docs give.
	balancerConfig = "examples/balancer/haproxy.cfg"
)

// keys are those of the S3 server.
var keys = map[string]string{"AWS_ACCESS_KEY_ID": "chaos", "AWS_SECRET_ACCESS_KEY": "chaos-chaos-chaos"}

// The names of processes.
var (
	nodes       = []string{"node1", "node2", "node3"}
	beanstalkds = []string{"beanstalkd1", "beanstalkd2"}
)

// services are what the nodes of a pool share.
type services struct {
	beanstalkds []*testbed.Server
	database    *testbed.Database
	store       *testbed.Process
	storeAddr   string
	balancer    *testbed.Node // the client's view: an address to ask
}

// startServices starts all but the balancer, which needs the addresses of nodes.
func startServices(ctx context.Context, bed *testbed.Testbed) (s services, err error) {
	for _, name := range beanstalkds {
		b, err := bed.NewServer(name)
		if err == nil {
			s.beanstalkds, err = append(s.beanstalkds, b), b.Up(ctx)
		}
		if err != nil {
			return s, err
		}
	}
	if s.database, err = bed.NewDatabase(check.Database); err != nil {
		return s, err
	}
	return s, errors.Join(s.database.Up(ctx), s.startStore(ctx, bed))
}

func (s *services) startStore(ctx context.Context, bed *testbed.Testbed) (err error) {
	binary := os.Getenv(VersitygwVariable)
	if binary == "" {
		return fmt.Errorf("%s is to name the binary of versitygw; make pool-test and make upgrade-test set it", VersitygwVariable)
	}
	folder, err := bed.Folder(store)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(folder, bucket), 0o755); err != nil {
		return err
	}
	if s.storeAddr, err = bed.Addr(store); err != nil {
		return err
	}
	s.store = bed.NewProcess(store, binary, []string{"--port", s.storeAddr, "--keep-alive", "--quiet", "posix", folder},
		[]string{"PATH=" + os.Getenv("PATH"), "ROOT_ACCESS_KEY=" + keys["AWS_ACCESS_KEY_ID"], "ROOT_SECRET_KEY=" + keys["AWS_SECRET_ACCESS_KEY"]})
	if err := s.store.Start(); err != nil {
		return err
	}
	return s.storeAnswers(ctx, bed)
}

func (s *services) storeAnswers(ctx context.Context, bed *testbed.Testbed) error {
	return answers(ctx, bed, store, s.storeAddr)
}

// answers waits until a server takes connections.
func answers(ctx context.Context, bed *testbed.Testbed, name, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return testbed.Until(ctx, 10*time.Millisecond, name+" answers", func() bool {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return false
		}
		_ = conn.Close()
		bed.History.Note(check.Event{What: check.Up, Who: name})
		return true
	})
}

// settings are those of each node.
func (s *services) settings() map[string]string {
	var addrs []string
	for _, b := range s.beanstalkds {
		addrs = append(addrs, b.Addr)
	}
	return map[string]string{
		"LEASE": lease, "BEANSTALKD": strings.Join(addrs, ","), "LEDGER": s.database.URL, "STORE": s.bucketURL(),
	}
}

func (s *services) bucketURL() string {
	return fmt.Sprintf("s3://%s/pool?endpoint=http://%s", bucket, s.storeAddr)
}

// newNodes makes nodes that are not started.
func (s *services) newNodes(bed *testbed.Testbed, slots int) (list []*testbed.Node, err error) {
	at, err := bed.NewShared("", "work")
	if err != nil {
		return nil, err
	}
	for _, name := range nodes {
		n, err := bed.NewNode(name, at, slots, maps.Clone(s.settings()))
		if err != nil {
			return nil, err
		}
		n.Process.Setenv(keys)
		list = append(list, n)
	}
	return list, nil
}

// startBalancer starts HAProxy with the example's configuration, in which only the addresses
// are replaced.
func (s *services) startBalancer(ctx context.Context, bed *testbed.Testbed) error {
	text, err := os.ReadFile(balancerConfig)
	if err != nil {
		return err
	}
	addr := bed.Places[check.Balancer].Addr + ":80"
	replace := []string{"bind :80", "bind " + addr}
	for i, name := range nodes {
		replace = append(replace, fmt.Sprintf("worker%d:8420", i+1), bed.Places[name].Addr+":8420")
	}
	config := filepath.Join(bed.Dir, "haproxy.cfg")
	if err := os.WriteFile(config, []byte(strings.NewReplacer(replace...).Replace(string(text))), 0o644); err != nil {
		return err
	}
	binary, err := exec.LookPath("haproxy")
	if err != nil {
		binary = "/usr/sbin/haproxy"
	}
	s.balancer = &testbed.Node{Addr: addr, Process: bed.NewProcess(check.Balancer, binary, []string{"-db", "-f", config}, []string{"PATH=" + os.Getenv("PATH")})}
	return s.balancerUp(ctx, bed)
}

func (s *services) balancerUp(ctx context.Context, bed *testbed.Testbed) error {
	if err := s.balancer.Process.Start(); err != nil {
		return err
	}
	return answers(ctx, bed, check.Balancer, s.balancer.Addr)
}
