package realkafka

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// pom names the jars; its digest names the cache directory, so a changed pom is resolved anew.
//
//go:embed pom.xml
var pom []byte

// resolveAttempts: a download is tried once more, for networks stumble.
const resolveAttempts = 2

// ClassPath returns the Java class path of Apache Kafka, a directory with a wildcard. The jars (54 MB) are resolved by
// Maven on first use and kept under the user's cache directory; processes that come at the same time wait for the first.
func ClassPath(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("kafka jars: %w", err)
	}
	digest := sha256.Sum256(pom)
	dir := filepath.Join(cache, "kelisim", "kafka-4.3.1-"+hex.EncodeToString(digest[:4]))
	if err := resolveOnce(ctx, dir); err != nil {
		return "", fmt.Errorf("kafka jars in %s: %w", dir, err)
	}
	return filepath.Join(dir, "*"), nil
}

// resolveOnce fills dir under a file lock, by a rename, so that a directory that exists is complete.
func resolveOnce(ctx context.Context, dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close() // which releases it
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	partial := dir + ".partial"
	defer os.RemoveAll(partial)
	for range resolveAttempts {
		if err = resolve(ctx, partial); err == nil {
			return os.Rename(partial, dir)
		}
	}
	return err
}

func resolve(ctx context.Context, dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	file := filepath.Join(dir, "pom.xml")
	if err := os.WriteFile(file, pom, 0o600); err != nil {
		return err
	}
	mvn := exec.CommandContext(ctx, "mvn", "-q", "-B", "-Dstyle.color=never", "-f", file,
		"dependency:copy-dependencies", "-DoutputDirectory="+dir)
	out, err := mvn.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("real Kafka needs Maven and Java 17 (Debian: apt-get install maven openjdk-17-jre-headless): %w", err)
	}
	if err != nil {
		return fmt.Errorf("mvn: %w\n%s", err, out)
	}
	return nil
}
