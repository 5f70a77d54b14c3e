# curl, which asks leave for a large body (Expect: 100-continue).
set -eu
url=$1
shift
for file in "$@"; do
    answer=$(curl -s --noproxy '*' -w '\n%{http_code}' "$url" --data-binary "@$file")
    echo "${answer##*$'\n'} ${answer%$'\n'*}"
done
