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

// jars returns the directory that holds Apache Kafka's jars. They (54 MB) are resolved by Maven on first use and kept
// under the user's cache directory; processes that come at the same time wait for the first.
func jars(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("kafka jars: %w", err)
	}
	digest := sha256.Sum256(pom)
	dir := filepath.Join(cache, "kelisim", "kafka-4.3.1-"+hex.EncodeToString(digest[:4]))
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("kafka jars: %w", err)
	}
	err = makeOnce(dir, func(partial string) error {
		for range resolveAttempts {
			if err = resolve(ctx, partial); err == nil {
				return nil
			}
		}
		return err
	})
	if err != nil {
		return "", fmt.Errorf("kafka jars in %s: %w", dir, err)
	}
	return dir, nil
}

// makeOnce makes a file or directory, under a lock between processes and by a rename, so that what exists is complete.
func makeOnce(path string, build func(partial string) error) error {
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close() // which releases it
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	partial := path + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	if err := build(partial); err != nil {
		return err
	}
	return os.Rename(partial, path)
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
