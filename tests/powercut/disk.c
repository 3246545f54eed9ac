/*
 * What a disk is told, in the order it is told: for tests of power cuts.
 *
 * Preloaded into a process, it writes down every write, truncation, removal and
 * sync of the files in DISK_FOLDER, and of the folder itself (the file with no
 * name), into the journal DISK_JOURNAL. A test can then
 * build the disk as it would be found had the power gone at any moment.
 * While the file DISK_BROKEN exists, every sync fails with EIO, after which
 * nobody knows what was kept.
 *
 * A record: type, length of the path, offset, length of the data, path, data.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static int journal = -1;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* The name of the file at path within DISK_FOLDER, or NULL when it is none of ours. */
static const char *named_in_folder(const char *path)
{
    const char *folder = getenv("DISK_FOLDER");
    size_t length = folder ? strlen(folder) : 0;
    if (!folder || strncmp(path, folder, length) != 0)
        return NULL;
    if (path[length] == 0)
        return path + length;
    return path[length] == '/' ? path + length + 1 : NULL;
}

/* The same for an open file. */
static const char *watched(int fd, char *path, size_t size)
{
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    if (length < 0)
        return NULL;
    path[length] = 0;
    return named_in_folder(path);
}

static void put(const void *bytes, size_t length)
{
    const char *at = bytes;
    while (length) {
        ssize_t done = syscall(SYS_write, journal, at, length);
        if (done <= 0)
            abort();
        at += done;
        length -= (size_t)done;
    }
}

static void record_name(char type, const char *name, int64_t offset, const void *data, uint32_t length)
{
    uint16_t named = (uint16_t)strlen(name);
    if (journal < 0)
        journal = (int)syscall(SYS_openat, AT_FDCWD, getenv("DISK_JOURNAL"),
                               O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    put(&type, 1);
    put(&named, 2);
    put(&offset, 8);
    put(&length, 4);
    put(name, named);
    put(data, length);
}

static void record(char type, int fd, int64_t offset, const void *data, uint32_t length)
{
    char path[4096];
    int error = errno;
    const char *name = watched(fd, path, sizeof path);
    if (name)
        record_name(type, name, offset, data, length);
    errno = error;
}

ssize_t write(int fd, const void *data, size_t length)
{
    pthread_mutex_lock(&order);
    ssize_t done = REAL(write)(fd, data, length);
    if (done > 0)
        record('W', fd, -1, data, (uint32_t)done); /* at the end: only the acknowledgements are written so */
    pthread_mutex_unlock(&order);
    return done;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset)
{
    pthread_mutex_lock(&order);
    ssize_t done = REAL(pwrite64)(fd, data, length, offset);
    if (done > 0)
        record('W', fd, offset, data, (uint32_t)done);
    pthread_mutex_unlock(&order);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset)
{
    return pwrite64(fd, data, length, offset);
}

int ftruncate64(int fd, off64_t length)
{
    pthread_mutex_lock(&order);
    int failed = REAL(ftruncate64)(fd, length);
    if (!failed)
        record('T', fd, length, NULL, 0);
    pthread_mutex_unlock(&order);
    return failed;
}

int ftruncate(int fd, off_t length)
{
    return ftruncate64(fd, length);
}

int unlink(const char *path)
{
    pthread_mutex_lock(&order);
    int failed = REAL(unlink)(path);
    const char *name = named_in_folder(path);
    if (!failed && name)
        record_name('U', name, 0, NULL, 0);
    pthread_mutex_unlock(&order);
    return failed;
}

static int synced(int fd, int (*sync)(int))
{
    char path[4096];
    const char *broken = getenv("DISK_BROKEN");
    struct stat found;
    if (broken && watched(fd, path, sizeof path) && stat(broken, &found) == 0) {
        errno = EIO;
        return -1;
    }
    pthread_mutex_lock(&order);
    int failed = sync(fd);
    if (!failed)
        record('S', fd, 0, NULL, 0);
    pthread_mutex_unlock(&order);
    return failed;
}

int fsync(int fd)
{
    return synced(fd, REAL(fsync));
}

int fdatasync(int fd)
{
    return synced(fd, REAL(fdatasync));
}
