# SPDX-License-Identifier: Apache-2.0
"""A minimal Debian as one image layer, put together from packages without root and without running any of their
scripts. What those would have done, as far as it is needed, is in finish(). agentkube/images/prepare does the
same in a Dockerfile.
"""
import io
import os
import pathlib
import re
import subprocess
import tarfile

from archive import Layer

# of the packages that Debian always has, those that somebody in a pod uses
ESSENTIAL = '''base-files bash coreutils dash debianutils diffutils findutils grep gzip hostname libc-bin mawk
  ncurses-base ncurses-bin perl-base sed tar'''.split()

# the same for the client of a bastion, where nobody works but one program
ESSENTIAL_BASTION = 'base-files ca-certificates coreutils dash debianutils grep hostname libc-bin ncurses-base netbase sed tzdata'.split()

# Dependencies that only scripts of packages need, and the parts of git that are written in Perl.
LEFT_OUT = re.compile(r'''adduser|debconf|dpkg|git-man|init-system-helpers|libaudit.*|libcap-ng0|libdb5.*|libgdbm.*
  |libconfig-inifiles-perl|liberror-perl|libfile-find-rule-perl|libnumber-compare-perl|libpam.*|libperl5.*|libsemanage.*|libsepol.*
  |libtext-glob-perl|passwd|perl|perl-modules.*|postgresql-client-common|sensible-utils|usrmerge''', re.VERBOSE)

# documentation (licences stay), translations, character sets other than UTF-8, init scripts, git's servers
UNWANTED = re.compile(r'''(usr/share/(?:man|info|locale|lintian|bug|bash-completion|zsh|doc-base|gitweb|menu|pixmaps
  |applications|icons|gcc|gdb|debconf|readline|polkit-1|fish)
  |usr/share/doc/(?!.*/copyright$)[^/]+/.+
  |usr/share/zoneinfo/(?:right|posix)|usr/share/perl5/Git.*|usr/share/git-core/contrib|usr/bin/(?:git-shell|scalar)
  |usr/lib/git-core/(?:scalar|git-(?:daemon|shell|imap-send|http-backend|http-push|instaweb|cvs.*|svn|p4|arch.*|send-email))
  |usr/lib/[^/]+/gconv|usr/lib/systemd|lib/systemd|usr/lib/tmpfiles.d|usr/lib/udev|lib/udev|lib/init|etc/init.d|etc/rc.*\.d
  |etc/cron.*|etc/default|etc/logrotate.d|etc/apt|etc/dpkg|etc/ssh/ssh_config.d/.+|var/cache|var/log|var/lib/dpkg)(?:/|$)''',
                      re.VERBOSE)

USER = (65532, 65532)


class Failed(Exception):
    pass


class Apt:
    """apt-get with the machine's own sources, but lists, cache and status of its own."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        for name in ('parts', 'lists/partial', 'archives/partial'):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / 'status').touch()
        self._sources()
        f = self.folder
        self.updated = False
        self.options = ['-qq', '--no-install-recommends']
        for name, value in {
                'Dir::Etc::SourceList': '/dev/null', 'Dir::Etc::SourceParts': f / 'parts',
                'Dir::Etc::Preferences': '/dev/null', 'Dir::Etc::PreferencesParts': '/dev/null',
                'Dir::State': f, 'Dir::State::Lists': f / 'lists', 'Dir::State::status': f / 'status',
                'Dir::Cache': f, 'Dir::Cache::archives': f / 'archives', 'Acquire::Languages': 'none',
                'Acquire::Retries': '3', 'APT::Sandbox::User': _user()}.items():
            self.options += ['-o', f'{name}={value}']

    def _sources(self):
        etc = pathlib.Path('/etc/apt')
        for path in [etc / 'sources.list', *sorted((etc / 'sources.list.d').glob('*'))]:
            if path.suffix in ('.list', '.sources') and path.exists():
                (self.folder / 'parts' / path.name).write_bytes(path.read_bytes())

    def run(self, *command, cwd=None):
        done = subprocess.run(['apt-get', *self.options, *command], cwd=cwd, text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return done.returncode, done.stdout, done.stderr

    def update(self):
        if not self.updated:
            self.run('update')  # a third party's source that does not answer is no reason to stop
            self.updated = True

    def one_file(self, package, path, folder):
        """The contents of one file of a package, without what the package depends on."""
        self.update()
        code, _, err = self.run('download', package, cwd=folder)
        debs = list(pathlib.Path(folder).glob(f'{package}_*.deb'))
        if code or len(debs) != 1:
            raise Failed(f'apt-get cannot download {package}: {err.strip()}')
        data = subprocess.run(['dpkg-deb', '--fsys-tarfile', debs[0]], check=True, stdout=subprocess.PIPE).stdout
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            return tar.extractfile(f'./{path}').read()

    def fetch(self, packages, folder):
        """Downloads the packages and what they depend on; returns the .deb files."""
        self.update()
        code, out, err = self.run('install', '--print-uris', *packages)
        names = [line.split()[1] for line in out.splitlines() if line.startswith("'")]
        if code or not names:
            raise Failed(f'apt-get cannot resolve the packages: {err.strip()}')
        wanted = []
        for name in names:
            package, version = name.split('_')[:2]
            if not LEFT_OUT.fullmatch(package):
                wanted.append(f'{package}={version.replace("%3a", ":")}')
        code, _, err = self.run('download', *wanted, cwd=folder)
        debs = sorted(pathlib.Path(folder).glob('*.deb'))
        if code or len(debs) != len(wanted):
            raise Failed(f'apt-get cannot download the packages: {err.strip()}')
        return debs


def _user():
    import pwd
    return pwd.getpwuid(os.getuid()).pw_name


def release():
    """The machine's Debian release, like bookworm, or what else it is."""
    text = pathlib.Path('/etc/os-release').read_text()
    values = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', text, re.MULTILINE))
    return values.get('VERSION_CODENAME') if values.get('ID') == 'debian' else values.get('PRETTY_NAME', 'unknown')


def base_layer(packages, folder, apt):
    """The layer of the runtime images, from the given packages and the essential ones."""
    layer = packages_layer(ESSENTIAL + packages, folder, apt)
    finish(layer, 'agent')
    # writable for group 0 too: some platforms run pods with a random uid of that group
    layer.directory('home/agent', 0o775, (USER[0], 0))
    layer.directory('workspace', 0o775, (USER[0], 0))
    # A volume's directory may belong to somebody else than the agent; git would refuse to work in it. The pod has
    # one user, so there is nobody to be protected from.
    layer.file('etc/gitconfig', b'[safe]\n\tdirectory = *\n')
    return layer


def bastion_layer(packages, folder, apt):
    """The layer of an image with a Tool's client. Its root is read-only and /tmp is all that it can write."""
    layer = packages_layer(ESSENTIAL_BASTION + packages, folder, apt)
    finish(layer, 'bastion', '/tmp')
    return layer


def packages_layer(packages, folder, apt):
    layer = Layer()
    for name in ('bin', 'sbin', 'lib', 'lib64'):
        layer.link(name, f'usr/{name}')
    debs = pathlib.Path(folder) / 'debs'
    debs.mkdir()
    for deb in apt.fetch(packages, debs):
        unpack(deb, layer)
    return layer


def unpack(deb, layer):
    data = subprocess.run(['dpkg-deb', '--fsys-tarfile', deb], check=True, stdout=subprocess.PIPE).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            path = member.name.removeprefix('./').rstrip('/')
            if path in ('', '.', 'bin', 'sbin', 'lib', 'lib64') or UNWANTED.match(path):
                continue
            if member.isdir():
                layer.directory(path, member.mode)
            elif member.issym():
                layer.link(path, member.linkname)
            elif member.isfile() or member.islnk():  # a hard link has the contents of what it names
                layer.file(path, tar.extractfile(member).read(), 0o755 if member.mode & 0o100 else 0o644)


def finish(layer, user, home=None):
    """What the packages' scripts would have made."""
    for name, target in {'usr/bin/awk': 'mawk', 'usr/bin/which': 'which.debianutils', 'usr/bin/pager': 'less',
                         'usr/bin/sh': 'dash', 'etc/localtime': '/usr/share/zoneinfo/Etc/UTC'}.items():
        if target.startswith('/') or f'usr/bin/{target}' in layer.members:
            layer.link(name, target)
    authorities = [data for name, (info, data) in sorted(layer.members.items())
                   if name.startswith('usr/share/ca-certificates/') and name.endswith('.crt')]
    layer.file('etc/ssl/certs/ca-certificates.crt', b''.join(authorities))
    layer.link('usr/lib/ssl/cert.pem', '/etc/ssl/certs/ca-certificates.crt')
    layer.file('etc/timezone', b'Etc/UTC\n')
    layer.file('etc/nsswitch.conf', b'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n'
               b'services: files\nprotocols: files\n')
    layer.file('etc/profile', layer.members['usr/share/base-files/profile'][1])
    shell = '/bin/bash' if 'usr/bin/bash' in layer.members else '/bin/sh'
    layer.file('etc/passwd', f'''root:x:0:0:root:/root:{shell}
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
{user}:x:{USER[0]}:{USER[1]}:{user}:{home or f"/home/{user}"}:{shell}
'''.encode() + (b'serve:x:65533:65532:who holds the credential:/tmp:/usr/sbin/nologin\n' if user == 'bastion' else b''))
    layer.file('etc/group', f'root:x:0:\nnogroup:x:65534:\n{user}:x:{USER[1]}:\n'.encode())
    layer.directory('root', 0o700)
    layer.directory('tmp', 0o1777)
    layer.directory('var/tmp', 0o1777)
    for name in ('dev', 'proc', 'sys', 'run', 'var/log', 'var/cache'):
        layer.directory(name)
    for name in ('var/run', 'var/lock'):
        layer.members.pop(name, None)
    layer.link('var/run', '/run')
