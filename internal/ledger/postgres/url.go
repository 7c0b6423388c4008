package postgres

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// connectLimit bounds the making of a connection.
	connectLimit = 10 * time.Second
	defaultPort  = 5432
)

// CheckURL returns an error if url is not a connection URL. It does not connect.
func CheckURL(url string) error {
	_, err := parse(url)
	return err
}

// Servers returns the servers that url names, host:port, but for sockets.
func Servers(url string) (list []string) {
	config, err := parse(url)
	if err != nil {
		return nil
	}
	add := func(host string, port uint16) {
		if host != "" && !strings.HasPrefix(host, "/") {
			list = append(list, net.JoinHostPort(host, strconv.Itoa(int(port))))
		}
	}
	add(config.Host, config.Port)
	for _, f := range config.Fallbacks {
		add(f.Host, f.Port)
	}
	slices.Sort(list)
	return slices.Compact(list) // each is there with and without TLS
}

// Name names a database for people: hosts, database and schema of a URL, and nothing secret.
func Name(url string) string {
	config, err := parse(url)
	if err != nil {
		return "the ledger"
	}
	var hosts []string
	add := func(host string, port uint16) {
		text := net.JoinHostPort(host, strconv.Itoa(int(port)))
		if port == defaultPort || strings.HasPrefix(host, "/") {
			text = host
		}
		if !slices.Contains(hosts, text) { // each is there with and without TLS
			hosts = append(hosts, text)
		}
	}
	add(config.Host, config.Port)
	for _, f := range config.Fallbacks {
		add(f.Host, f.Port)
	}
	name := "postgres://" + strings.Join(hosts, ",") + "/" + config.Database
	if schema := config.RuntimeParams["search_path"]; schema != "" {
		name += "?search_path=" + schema
	}
	return name
}

// parse reads a URL. Its error does not repeat it: it may hold a password.
func parse(url string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, urlFault(err)
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectLimit
	}
	if config.ValidateConnect == nil { // of several hosts, the one that is no standby
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "runnerbean"
	}
	return config, nil
}

// urlFaults are what pgx says of a part of a URL, and what that means.
var urlFaults = [][2]string{
	{"sslmode is invalid", "sslmode in the URL must be disable, allow, prefer, require, verify-ca or verify-full"},
	{"failed to configure TLS", "sslmode, sslrootcert, sslcert, sslkey and sslpassword in the URL do not work together"},
	{"unknown target_session_attrs", "target_session_attrs in the URL must be read-write, primary or any"},
	{"invalid connect_timeout", "connect_timeout in the URL must be a number of seconds"},
	{"failed to read service", "the service file does not have the service that the URL names"},
}

// urlFault says what is wrong with a URL without quoting it. The texts of pgx quote it, and
// hide only those passwords that they recognize.
func urlFault(err error) error {
	if file, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("a file that the URL names (sslrootcert, sslcert, sslkey or servicefile) cannot be read: %w", file.Err)
	}
	text := err.Error()
	said := text[strings.LastIndex(text, "`: ")+1:] // what follows the quotation
	for _, fault := range urlFaults {
		if strings.Contains(said, fault[0]) {
			return errors.New(fault[1])
		}
	}
	return errors.New("it is not a connection URL of PostgreSQL (postgres://USER:PASSWORD@HOST:PORT/DATABASE); in a password other characters than letters and digits are written in hexadecimal, such as %2F for /")
}
