package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// sharedConnections is the advice where a proxy gives each transaction another connection.
const sharedConnections = "a proxy such as PgBouncer shares connections: add default_query_exec_mode=exec to the URL"

// advice says what to do about an error of PostgreSQL, by its code (Appendix A of its manual).
var advice = map[string]string{
	"28000":  "the server refuses this user, address or TLS setting: see pg_hba.conf of the server, and sslmode in the URL",
	"28P01":  "the server does not know the user or refuses the password: correct it in the URL, in PGPASSWORD, or in the file that passfile in the URL names",
	"3D000":  "create the database (createdb -O USER DATABASE), or correct its name in the URL",
	"3F000":  noSchema,
	"42501":  "let the user make and change tables there (GRANT ALL ON SCHEMA public TO USER, or make it the owner of the database)",
	"42704":  "correct the name or remove it from the URL",
	diskFull: "make room on the disk of the database",
	"53200":  "the server has no memory left",
	"53300":  "the server has no connection free: a node needs 5; raise max_connections, or the connection limit of the user or the database",
	"25006":  readOnly,
	"42P05":  sharedConnections, "26000": sharedConnections,
	"57P03": "the server starts or stops: wait for it",
}

const (
	diskFull = "53100"
	noSchema = "create the schema that search_path in the URL names (CREATE SCHEMA NAME AUTHORIZATION USER)"
	readOnly = "the server only reads: it is a standby, or default_transaction_read_only is on; name all hosts in the URL (postgres://USER@HOST1,HOST2/DATABASE)"
	// refusedTLS is the text of pgconn for a server without TLS.
	refusedTLS = "server refused TLS connection"
)

// away returns an error as an engine.Away if it is one of the connection, or if the server ends
// connections (class 57) or lacks room, memory or connections (class 53), or if the deadline of ctx
// has passed. A caller that has gone is none.
func away(ctx context.Context, err error) error {
	if err == nil || errors.Is(ctx.Err(), context.Canceled) {
		return err
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && !strings.HasPrefix(refused.Code, "57") && !strings.HasPrefix(refused.Code, "53") {
		return err
	}
	_, refused := errors.AsType[*pgconn.PgError](err)
	_, connect := errors.AsType[*pgconn.ConnectError](err)
	_, network := errors.AsType[net.Error](err)
	if refused || connect || network || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = explained(err)
		if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == diskFull {
			err = fmt.Errorf("%w: %w", engine.ErrNoRoom, err)
		}
		return &engine.Away{Cause: err}
	}
	return err
}

// explanation is an error of a connection in one line, with what to do about it.
type explanation struct {
	text string
	error
}

func (e *explanation) Error() string { return e.text }
func (e *explanation) Unwrap() error { return e.error }

// explained returns an error of a connection in one line, with what to do about it where that is known.
func explained(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if refused, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		text = strings.Replace(text, refused.Error(), inOneLine(refused), 1)
	}
	if what := whatToDo(err); what != "" {
		text += ": " + what
	}
	return &explanation{text, err}
}

// inOneLine joins what has become of the tries to connect. Without sslmode each server is tried
// with TLS and without it: that one has none is no reason, unless it is the only one.
func inOneLine(err *pgconn.ConnectError) string {
	var tries []string
	for line := range strings.SplitSeq(err.Unwrap().Error(), "\n") {
		if !slices.Contains(tries, line) {
			tries = append(tries, line)
		}
	}
	others := slices.DeleteFunc(slices.Clone(tries), func(try string) bool { return strings.Contains(try, refusedTLS) })
	if len(others) > 0 {
		tries = others
	}
	return fmt.Sprintf("cannot connect as user %q to database %q: %s", err.Config.User, err.Config.Database, strings.Join(tries, "; "))
}

func whatToDo(err error) string {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		return advice[refused.Code]
	}
	verify, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	_, lookup := errors.AsType[*net.DNSError](err)
	text := err.Error()
	switch {
	case untrusted:
		return certificateAdvice(verify.Err)
	case strings.Contains(text, "read only connection"):
		return readOnly
	case lookup:
		return "the name of the host is not known: correct it in the URL"
	case strings.Contains(text, refusedTLS):
		return "the server has no TLS: turn it on there (ssl = on), or set sslmode in the URL"
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return "no server listens there: start it, or correct host and port in the URL"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "the server does not answer in time: check that it runs, the network, and host and port in the URL"
	}
	return ""
}

func certificateAdvice(err error) string {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "the certificate of the server has expired, or is not valid yet: replace it, and check the clocks"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "the certificate of the server is for another host: write the host of the certificate in the URL"
	}
	return "the certificate of the server is not trusted: name the authority's certificate by sslrootcert=FILE in the URL"
}
