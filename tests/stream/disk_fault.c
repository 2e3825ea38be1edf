/* Lets a disk fail under a real server: preloaded, it reads from the file that DISK_FAULT names what is to
 * fail, at every call: "fsync" (EIO from fsync and fdatasync) or "readonly" (EROFS from every write to the
 * database and its write-ahead file). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fault(const char *name) {
    const char *path = getenv("DISK_FAULT");
    char found[16] = {0};
    int saved = errno, descriptor = path ? open(path, O_RDONLY) : -1, size;
    if (descriptor < 0) { errno = saved; return 0; }
    size = (int)read(descriptor, found, sizeof found - 1);
    close(descriptor);
    errno = saved;
    return size > 0 && strncmp(found, name, strlen(name)) == 0;
}

static int of_database(int descriptor) {
    char link[64], target[4096];
    ssize_t size;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    size = readlink(link, target, sizeof target - 1);
    if (size <= 0) return 0;
    target[size] = 0;
    return strstr(target, "/anomalyai.db") != NULL;
}

#define REFUSES(descriptor) (fault("readonly") && of_database(descriptor))
#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int descriptor) {
    if (fault("fsync")) { errno = EIO; return -1; }
    return NEXT(fsync)(descriptor);
}

int fdatasync(int descriptor) {
    if (fault("fsync")) { errno = EIO; return -1; }
    return NEXT(fdatasync)(descriptor);
}

ssize_t write(int descriptor, const void *data, size_t size) {
    if (REFUSES(descriptor)) { errno = EROFS; return -1; }
    return NEXT(write)(descriptor, data, size);
}

ssize_t pwrite(int descriptor, const void *data, size_t size, off_t place) {
    if (REFUSES(descriptor)) { errno = EROFS; return -1; }
    return NEXT(pwrite)(descriptor, data, size, place);
}

ssize_t pwrite64(int descriptor, const void *data, size_t size, off64_t place) {
    if (REFUSES(descriptor)) { errno = EROFS; return -1; }
    return NEXT(pwrite64)(descriptor, data, size, place);
}
