# Run in a node that is shut down, when its kubelet has ended: says so, and ends the containers of the node's pods by
# SIGTERM, and after GRACE seconds by SIGKILL. (The kubelet would do that itself where there is a systemd-logind; its own
# credentials let kubectl not read what it patches.)
# $1: GRACE  $2: the node's name
set -u
condition='{"type":"Ready","status":"False","reason":"KubeletNotReady","message":"node is shutting down"}'
kubectl --kubeconfig=/etc/romana/people.kubeconfig --request-timeout=5s patch node "$2" --subresource=status \
  --patch "{\"status\":{\"conditions\":[$condition]}}" > /dev/null
running() { # prints the ids of containers that run, but for those that hold a pod's namespaces
  sandboxes=$(ctr -n k8s.io containers ls -q 'labels."io.cri-containerd.kind"==sandbox')
  ctr -n k8s.io tasks ls | while read -r id _ state; do
    [ "$state" = RUNNING ] || continue
    case " $(echo $sandboxes) " in *" $id "*) ;; *) echo "$id" ;; esac
  done
}
end() { # SIGNAL
  for id in $(running); do ctr -n k8s.io tasks kill --signal "$1" "$id" > /dev/null 2>&1; done
}
end SIGTERM
rounds=$(($1 * 5))
while [ "$rounds" -gt 0 ] && [ -n "$(running)" ]; do
  rounds=$((rounds - 1))
  sleep 0.2
done
end SIGKILL
