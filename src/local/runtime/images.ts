import { err, ok, type Result } from '../../lib/result.ts';
import type { ContainerSpec } from './pod-spec.ts';

/** What an image comes down to here: words to run on the machine's own file system. */
export interface Recipe {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** Where the programs of recipes are. */
export interface ImageSources {
  /** Directory with Debian's nginx in its own layout (`usr/sbin/nginx`, `usr/share/nginx/html`); undefined: none. */
  readonly nginx: string | undefined;
  /** Directories below it with shared libraries that the machine may lack. */
  readonly nginxLibraries: readonly string[];
  /** Where this program is: it is what an image of Romana holds. */
  readonly checkout: string;
}

/** PATH of containers that set none. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * What to run for a container: its own command, whatever the image; else the image's recipe, of which there are two,
 * `nginx` and `romana`. The error is what a registry would be asked for in vain.
 */
export function resolveImage(container: ContainerSpec, sources: ImageSources): Result<Recipe> {
  const { command, args = [], image } = container;
  const env = { PATH, ...container.env };
  if (command !== undefined) return ok({ command: [...command, ...args], env });
  const repository = repositoryOf(image);
  if (repository === 'romana') {
    const programs = `${sources.checkout}/bin`;
    return ok({ command: [`${programs}/romana`, ...args], env: { ...env, PATH: `${programs}:${env.PATH}` } });
  }
  if (repository !== 'nginx') {
    return err(
      `there is no recipe for image "${image}": this node knows nginx, romana, and containers with a command of their own`,
    );
  }
  // As the image's own entry point has it, args alone are a command.
  if (args.length > 0) return ok({ command: args, env });
  if (sources.nginx === undefined) {
    return err("Debian's nginx is not on this machine; the set-up unpacks it into the checkout (npm run demo runs it)");
  }
  const libraries = sources.nginxLibraries.map((directory) => `${sources.nginx}/${directory}`).join(':');
  return ok({
    command: ['sh', '-c', NGINX_START, sources.nginx],
    env: { ...(libraries === '' ? {} : { LD_LIBRARY_PATH: libraries }), ...env },
  });
}

/** The name without registry, `library/`, tag and digest. */
function repositoryOf(image: string): string {
  return image
    .replace(/@.*$/, '')
    .replace(/:[^/:]*$/, '')
    .replace(/^(?:(?:docker\.io|index\.docker\.io)\/)?(?:library\/)?/, '');
}

/** $0 is nginx's directory. The page is Debian's own, or one like it. */
const NGINX_START = `set -e
mkdir -p /run/nginx/html /tmp/nginx /var/log/nginx
pages=$0/usr/share/nginx/html
if [ ! -e "$pages/index.html" ]; then
  pages=/run/nginx/html
  echo '<!DOCTYPE html><html><head><title>Welcome to nginx!</title></head><body><h1>Welcome to nginx!</h1></body></html>' > $pages/index.html
fi
cat > /run/nginx/nginx.conf <<END
daemon off;
user root root;
worker_processes 1;
pid /run/nginx/nginx.pid;
error_log stderr notice;
events { worker_connections 512; }
http {
  access_log /dev/stdout;
  default_type text/html;
  client_body_temp_path /tmp/nginx/body;
  proxy_temp_path /tmp/nginx/proxy;
  fastcgi_temp_path /tmp/nginx/fastcgi;
  uwsgi_temp_path /tmp/nginx/uwsgi;
  scgi_temp_path /tmp/nginx/scgi;
  server {
    listen 80;
    listen [::]:80;
    root "$pages";
    index index.html index.nginx-debian.html;
  }
}
END
exec "$0/usr/sbin/nginx" -c /run/nginx/nginx.conf`;
