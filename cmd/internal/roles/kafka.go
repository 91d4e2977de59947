package roles

import (
	"log/slog"

	"github.com/kelisim/kelisim/events/stream"
	"github.com/kelisim/kelisim/internal/daemon"
)

// KafkaOf turns the settings into what every client of the log takes.
func KafkaOf(c daemon.Kafka, log *slog.Logger) stream.Config {
	return stream.Config{
		Brokers: c.Brokers, ClientID: c.ClientID, DialTimeout: c.DialTimeout, Logger: log, MaxUnpackedBytes: c.UnpackedMB << 20,
		TLS: stream.TLSConfig{
			Enabled: c.TLS.Enabled, CAFile: c.TLS.CAFile, CertFile: c.TLS.CertFile, KeyFile: c.TLS.KeyFile,
			ServerName: c.TLS.ServerName,
		},
		SASL: stream.SASLConfig{
			Mechanism: c.SASL.Mechanism, Username: c.SASL.Username,
			Password: c.SASL.Password, PasswordFile: c.SASL.PasswordFile,
		},
	}
}
