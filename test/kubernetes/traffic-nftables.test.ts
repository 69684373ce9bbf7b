import { kubeTraffic } from '../support/kube-traffic.ts';

kubeTraffic('nftables');
